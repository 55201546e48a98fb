/**
 * `npm run build`: the package's code as JavaScript in dist/, since Node runs no TypeScript
 * within node_modules. dist/cli.js is the program; every file named `…-worker.ts` or
 * `…-main.ts` is started by path, and becomes dist/<its name>.js. Dependencies stay outside,
 * but for those that a function loads. zod as a package brings all of its parts and languages
 * along, 12 MiB resident in every function; bound in, only what is used. (So it is imported as
 * `import * as z`: of `{ z }` nothing can be left out.) The others are forty files, and Node walks
 * along the path of each so often that V8 makes fast code for it, whose compiler then is resident:
 * 5 MiB more where the package lies at a longer path, such as that of `npm install -g`.
 *
 * Comments and blanks are left out, half a MiB: Node holds the text of what it runs, in each thread, and
 * at two bytes a character when one of them is a dash. Names and short lines stay, for stack traces.
 */
import { globSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
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

/** What a function loads, whatever it is sent. */
const boundIn: readonly string[] = ['commander', 'msgpackr', 'pino', 'zod']

await rm('dist', { recursive: true, force: true })
const { metafile } = await build({
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
  external: Object.keys(dependencies).filter((name) => !boundIn.includes(name)),
  minifyWhitespace: true,
  lineLimit: 120,
  // Some of them are CommonJS and call require() for parts of Node. Made anew at each call: most files have none.
  banner: {
    js: "import{createRequire as slrRequire}from'node:module';const require=(name)=>slrRequire(import.meta.url)(name);",
  },
  logLevel: 'warning',
  metafile: true,
})
writeFileSync('dist/third-party-licenses.txt', licensesOf(Object.keys(metafile.inputs)))

/** What is bound in keeps its notice, as each of these licenses asks. Throws when a package has none. */
function licensesOf(files: readonly string[]): string {
  // The last one on the path: a package may have brought a version of its own.
  const folders = new Set(
    files.flatMap((file) => /^.*\bnode_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []),
  )
  const texts = [...folders].sort().map((folder) => {
    const file = readdirSync(folder).find((name) => /^licen[cs]e(\.|$)/i.test(name))
    if (file === undefined) throw new Error(`${folder} is bound into dist/, and has no license file`)
    return `${folder.slice('node_modules/'.length)}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`
  })
  return texts.join('\n----\n\n')
}
