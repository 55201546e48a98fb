/** A Python with Jupyter and Spark Connect's needs, in the cache. For test/spark/ only. */
import { execFileSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDir } from '../../driver-agent/cache-dir.ts'

const packages = [
  ...['ipykernel==6.29.5', 'jupyter_client==8.6.3'],
  ...['grpcio==1.85.1', 'grpcio-status==1.85.1', 'googleapis-common-protos==1.76.0', 'zstandard==0.25.0'],
  ...['pandas==2.3.3', 'pyarrow==26.0.1', 'numpy==2.4.6'],
]

/** Path of its `python`. Made once, with pip. */
export function notebookPython(): string {
  const folder = join(cacheDir(process.env), 'notebook-venv')
  const python = join(folder, 'bin', 'python')
  const done = join(folder, 'whole')
  if (existsSync(done)) return python
  rmSync(folder, { recursive: true, force: true })
  execFileSync('python3', ['-m', 'venv', folder], { stdio: 'inherit' })
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages], {
    stdio: 'inherit',
  })
  writeFileSync(done, '')
  return python
}
