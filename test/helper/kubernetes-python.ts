/**
 * A Python with PyPI's `kubernetes`, installed once into .cache/. Used by the test of that client,
 * and by scripts/prepare.ts, so that no test waits for a download.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const version = '37.0.2'
const venv = join(new URL('../..', import.meta.url).pathname, '.cache', `python-kubernetes-${version}`)

export const kubernetesPython = join(venv, 'bin', 'python')

/** Settles with undefined, or with why there is no such client. */
export async function installKubernetesPython(): Promise<string | undefined> {
  if (await isThere()) return undefined
  try {
    await run('python3', ['-m', 'venv', '--clear', venv])
    await run(kubernetesPython, ['-m', 'pip', 'install', '--quiet', `kubernetes==${version}`])
    return undefined
  } catch (error) {
    return `python3 cannot install kubernetes==${version}: ${(error as Error).message.split('\n')[0]}`
  }
}

async function isThere(): Promise<boolean> {
  if (!existsSync(kubernetesPython)) return false
  return await run(kubernetesPython, ['-c', 'import kubernetes.client']).then(
    () => true,
    () => false,
  )
}
