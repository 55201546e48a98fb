/**
 * Our code as one would ship it, for benches that ask for memory or starts: a checkout's own Node holds a TypeScript
 * compiler too. Each is built once a run of the bench.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build, type Plugin } from 'esbuild'
import { cacheDir } from '../testbed/programs.ts'

/** By checkout: `--against` has two of them in one run. */
const programs = new Map<string, Promise<string>>()
const endpoints = new Map<string, Promise<string>>()

/** The product's own program, dist/cli.js of a checkout, as its `npm run build` makes it. */
export function builtProgram(root: string): Promise<string> {
  const made = programs.get(root) ?? buildProgram(root)
  programs.set(root, made)
  return made
}

/** built-endpoint-main.ts with the code of a checkout: many endpoints in one process, which no program of the product has. */
export function builtEndpoint(root: string): Promise<string> {
  const made = endpoints.get(root) ?? bundle(root)
  endpoints.set(root, made)
  return made
}

async function buildProgram(root: string): Promise<string> {
  await promisify(execFile)(process.execPath, [join(root, 'scripts/build.ts')], { cwd: root })
  return join(root, 'dist/cli.js')
}

async function bundle(root: string): Promise<string> {
  const outdir = join(cacheDir, 'bundle', createHash('sha256').update(root).digest('hex').slice(0, 10))
  mkdirSync(outdir, { recursive: true })
  await build({
    entryPoints: [
      { in: join(import.meta.dirname, 'built-endpoint-main.ts'), out: 'built-endpoint-main' },
      { in: join(root, 'relay/loopback/bulk-worker.ts'), out: 'bulk-worker' },
    ],
    plugins: [loopbackOf(root)],
    outdir,
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    // Some dependencies are CommonJS and call require().
    banner: {
      js: "import{createRequire as slrRequire}from'node:module';const require=slrRequire(import.meta.url);",
    },
    logLevel: 'error',
  })
  return join(outdir, 'built-endpoint-main.js')
}

/** built-endpoint-main.ts names the working tree's code: it gets that of the checkout. */
function loopbackOf(root: string): Plugin {
  return {
    name: 'loopback',
    setup({ onResolve }) {
      onResolve({ filter: /^\.\.\/\.\.\/relay\/loopback\/index\.ts$/ }, () => ({
        path: join(root, 'relay/loopback/index.ts'),
      }))
    },
  }
}
