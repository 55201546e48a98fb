/** endpoint-main.ts as one would ship it: bundled, without comments and types, worker beside it. */
import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { cacheDir } from '../testbed/programs.ts'

/** By checkout: `--against` has two of them in one run. */
const bundled = new Map<string, Promise<string>>()

/** Path of the bundled program with the code of this checkout; built once a run of the bench. */
export function bundledEndpoint(root: string): Promise<string> {
  const made = bundled.get(root) ?? bundle(root)
  bundled.set(root, made)
  return made
}

async function bundle(root: string): Promise<string> {
  const outdir = join(cacheDir, 'bundle', createHash('sha256').update(root).digest('hex').slice(0, 10))
  mkdirSync(outdir, { recursive: true })
  await build({
    entryPoints: [
      { in: join(import.meta.dirname, 'shim-main.ts'), out: 'shim-main' },
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
  return join(outdir, 'shim-main.js')
}

/** shim-main.ts names the working tree's code: it gets that of the checkout. */
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
