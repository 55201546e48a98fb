/**
 * `npm run build`: the package's code as JavaScript in dist/, since Node runs no TypeScript
 * within node_modules. dist/cli.js is the program; every file named `…-worker.ts` or
 * `…-main.ts` is started by path, and becomes dist/<its name>.js. Dependencies stay outside,
 * but for zod: loaded as a package it brings all of its parts and languages along, 12 MiB
 * resident in every function; bound in, only what is used. (So it is imported as
 * `import * as z`: of `{ z }` nothing can be left out.)
 */
import { globSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { build } from 'esbuild'

const rooms = '{cli,relay,executor-shim,driver-agent}'
const started = globSync(`${rooms}/**/*-{worker,main}.ts`)
const names = started.map((file) => basename(file, '.ts'))
const twice = names.find((name, index) => names.indexOf(name) !== index)
if (twice !== undefined)
  throw new Error(`two files are named ${twice}.ts, and both would become dist/${twice}.js`)

const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  dependencies: Record<string, string>
}

await rm('dist', { recursive: true, force: true })
await build({
  entryPoints: [
    { in: 'cli/main.ts', out: 'cli' },
    ...started.map((file) => ({ in: file, out: basename(file, '.ts') })),
  ],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  chunkNames: 'chunk-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node22',
  external: Object.keys(dependencies).filter((name) => name !== 'zod'),
  logLevel: 'warning',
})
