/**
 * Finds a Python that this Spark's Python functions run on, which is also the one that
 * downloads Spark. Used by doctor, submit, agent and spark-home.ts.
 */
import { askProgram } from './run-program.ts'
import { SetupError } from './setup-error.ts'
import { findProgram } from './spawn.ts'

export interface Python {
  readonly program: string
  /** As `3.11.7`. */
  readonly version: string
}

/** Minor versions of Python 3 that a Spark takes, both ends included. */
export function pythonRange(sparkVersion: string): { readonly from: number; readonly to: number } {
  if (sparkVersion.startsWith('3.')) return { from: 8, to: 11 }
  const minor = Number(sparkVersion.split('.')[1])
  if (!sparkVersion.startsWith('4.') || minor >= 3) return { from: 11, to: Number.POSITIVE_INFINITY }
  return { from: minor === 0 ? 9 : 10, to: Number.POSITIVE_INFINITY }
}

/** Later ones than this are found by the name `python3` only. */
const newestMinor = 14

/**
 * PYSPARK_PYTHON if it is set, else `python3`, else the newest `python3.N` on PATH that fits.
 * Throws SetupError `python` with what to install or set. `sparkVersion` as `4.3.0`.
 */
export async function findPython(sparkVersion: string, environment: NodeJS.ProcessEnv): Promise<Python> {
  const { from, to } = pythonRange(sparkVersion)
  const wanted = wantedPython(sparkVersion)
  const set = environment.PYSPARK_PYTHON
  if (set !== undefined && set !== '') {
    const found = await ask(set, environment)
    if (found !== undefined && fits(found, from, to)) return found
    const what = found === undefined ? 'does not run as one' : `is Python ${found.version}`
    throw new SetupError(
      'python',
      `Spark ${sparkVersion} needs ${wanted}, but PYSPARK_PYTHON=${set} ${what}; set PYSPARK_PYTHON to one that fits`,
    )
  }
  const first = await ask('python3', environment)
  if (first !== undefined && fits(first, from, to)) return first
  for (let minor = Math.min(to, newestMinor); minor >= from; minor -= 1) {
    const found = await ask(`python3.${minor}`, environment)
    if (found !== undefined && fits(found, from, to)) return found
  }
  const have = first === undefined ? 'there is none on PATH' : `python3 is ${first.version}`
  throw new SetupError(
    'python',
    `Spark ${sparkVersion} needs ${wanted} for Python functions, and ${have}; install one and set PYSPARK_PYTHON to it`,
  )
}

/**
 * What is wrong with the Python that PySpark takes by itself (PYSPARK_PYTHON, else `python3`), in a sentence with
 * the remedy; undefined: nothing, or there is none, which whoever needs one will notice. For drivers that are not
 * started by us.
 */
export async function pythonMisfit(
  sparkVersion: string,
  environment: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const set = environment.PYSPARK_PYTHON || undefined
  const { from, to } = pythonRange(sparkVersion)
  const taken = await ask(set ?? 'python3', environment)
  if (taken === undefined ? set === undefined : fits(taken, from, to)) return undefined
  const name = set === undefined ? 'python3' : `PYSPARK_PYTHON=${set}`
  const what = taken === undefined ? 'does not run as one' : `is Python ${taken.version}`
  const other = await findPython(sparkVersion, { ...environment, PYSPARK_PYTHON: '' }).catch(() => undefined)
  const remedy = other === undefined ? 'one that fits' : `${other.program} (Python ${other.version})`
  return `Python functions on Spark ${sparkVersion} need ${wantedPython(sparkVersion)}, but ${name} ${what}; set PYSPARK_PYTHON to ${remedy}`
}

function wantedPython(sparkVersion: string): string {
  const { from, to } = pythonRange(sparkVersion)
  return Number.isFinite(to) ? `Python 3.${from} to 3.${to}` : `Python 3.${from} or later`
}

function fits(python: Python, from: number, to: number): boolean {
  const [major, minor] = python.version.split('.').map(Number) as [number, number]
  return major === 3 && minor >= from && minor <= to
}

async function ask(name: string, environment: NodeJS.ProcessEnv): Promise<Python | undefined> {
  const program = name.includes('/') ? name : findProgram(name, environment.PATH)
  if (program === undefined) return undefined
  const script = 'import sys; print("python", "%d.%d.%d" % sys.version_info[:3])'
  const answer = await askProgram(program, ['-c', script], { environment })
  const version = /^python (\d+\.\d+\.\d+)$/m.exec(answer.text)?.[1]
  return answer.code === 0 && version !== undefined ? { program, version } : undefined
}
