/** Finds the Java that Spark will run on: the one that Spark's own scripts would take. Used by doctor, submit and agent. */
import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { askProgram } from './run-program.ts'
import { SetupError } from './setup-error.ts'
import { findProgram } from './spawn.ts'

export interface Java {
  readonly program: string
  /** For JAVA_HOME. */
  readonly home: string
  /** Major version: 8, 11, 17 … */
  readonly version: number
}

/** Majors that a Spark runs on, both ends included. From Java 23 on `Subject.getSubject`, which the Hadoop 3.3 of Spark 3.5 calls at start, throws. */
export function javaRange(sparkVersion: string): { readonly from: number; readonly to: number } {
  return sparkVersion.startsWith('3.') ? { from: 8, to: 22 } : { from: 17, to: Number.POSITIVE_INFINITY }
}

/** Major version out of what `java -version` says; undefined: that was no Java. */
export function parseJavaVersion(text: string): number | undefined {
  const match = /version "(?:1\.)?(\d+)/.exec(text)
  return match === null ? undefined : Number(match[1])
}

/** Throws SetupError `java` with what to install or set. `sparkVersion` as `4.3.0`. */
export async function findJava(sparkVersion: string, environment: NodeJS.ProcessEnv): Promise<Java> {
  const home = environment.JAVA_HOME === '' ? undefined : environment.JAVA_HOME
  const program = home === undefined ? findProgram('java', environment.PATH) : join(home, 'bin', 'java')
  const { from, to } = javaRange(sparkVersion)
  const wanted = Number.isFinite(to) ? `Java ${from} to ${to} (best 17)` : `Java ${from} or later`
  const remedy = remedyFor(from, to)
  if (program === undefined) {
    throw new SetupError(
      'java',
      `Spark ${sparkVersion} needs ${wanted}, and there is no java on PATH; ${remedy}`,
    )
  }
  const answer = await askProgram(program, ['-version'], { environment })
  const version = parseJavaVersion(answer.text)
  const where = home === undefined ? program : `JAVA_HOME=${home}`
  if (answer.code !== 0 || version === undefined) {
    throw new SetupError(
      'java',
      `Spark ${sparkVersion} needs ${wanted}, but ${where} does not run as one; ${remedy}`,
    )
  }
  if (version < from || version > to) {
    throw new SetupError(
      'java',
      `Spark ${sparkVersion} needs ${wanted}, but ${where} is Java ${version}; ${remedy}`,
    )
  }
  return { program, home: home ?? dirname(dirname(realpathSync(program))), version }
}

function remedyFor(from: number, to: number): string {
  const other = installedJavas().find(({ version }) => version >= from && version <= to)
  return other === undefined
    ? 'install one (Debian, Ubuntu: apt-get install openjdk-17-jre-headless) or set JAVA_HOME'
    : `set JAVA_HOME=${other.home}`
}

/** Those where Debian and most others put them, told by the folder's name. */
function installedJavas(): readonly { readonly home: string; readonly version: number }[] {
  const folder = '/usr/lib/jvm'
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .map((name) => ({ home: join(folder, name), version: Number(/-(?:1\.)?(\d+)/.exec(name)?.[1]) }))
    .filter(({ home }) => existsSync(join(home, 'bin', 'java')))
}
