#!/usr/bin/env node
/*
 * The program's door: says so when Node is too old, else starts what is installed, dist/cli.js,
 * or in a checkout cli/main.ts. Plain old JavaScript, since a Node that is too old must be able
 * to read it.
 */
import fs from 'fs'

var source = new URL('../cli/main.ts', import.meta.url)
var isCheckout = fs.existsSync(source)
var version = process.versions.node.split('.').map(Number)
// Node runs TypeScript as it is from 22.18 on.
var wanted = isCheckout ? [22, 18] : [22, 0]

if (version[0] < wanted[0] || (version[0] === wanted[0] && version[1] < wanted[1])) {
  process.stderr.write(
    'spark-lambda-relay: this is Node ' +
      process.versions.node +
      ', but Node ' +
      wanted.join('.') +
      ' or later is needed; ' +
      (isCheckout
        ? 'in a checkout run "npx spark-lambda-relay" or an npm script, which use the Node of node_modules\n'
        : 'install it from https://nodejs.org\n'),
  )
  process.exit(2)
}

import(isCheckout ? source.href : new URL('../dist/cli.js', import.meta.url).href).catch(function (error) {
  process.stderr.write('spark-lambda-relay: ' + String(error && error.stack) + '\n')
  process.exit(1)
})
