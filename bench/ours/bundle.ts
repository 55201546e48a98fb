/** endpoint-main.ts as one would ship it: bundled, without comments and types, worker beside it. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { cacheDir } from '../testbed/programs.ts'

let bundled: Promise<string> | undefined

/** Path of the bundled program; built once a run of the bench. */
export function bundledEndpoint(root: string): Promise<string> {
  bundled ??= bundle(root)
  return bundled
}

async function bundle(root: string): Promise<string> {
  const outdir = join(cacheDir, 'bundle')
  mkdirSync(outdir, { recursive: true })
  await build({
    entryPoints: [
      { in: join(import.meta.dirname, 'shim-main.ts'), out: 'shim-main' },
      { in: join(root, 'relay/loopback/bulk-worker.ts'), out: 'bulk-worker' },
    ],
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
