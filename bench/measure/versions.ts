/** With which versions a result was made. Used by run-bench.ts. */
import { execFileSync } from 'node:child_process'
import { type Bench, needsOf } from '../bench.ts'
import type { Contestant } from '../contestants/contestant.ts'
import { findProgram } from '../testbed/programs.ts'

/** What programs say of their version, by name. */
export type Versions = Readonly<Record<string, string>>

interface Question {
  readonly args: readonly string[]
  readonly answer: RegExp
}

/** How each program is asked, and which part of its answer is the version. */
const questions: Readonly<Record<string, Question>> = {
  haproxy: { args: ['-v'], answer: /version (\S+)/i },
  socat: { args: ['-V'], answer: /socat version (\S+)/ },
  rathole: { args: ['--version'], answer: /^(?:Build Version: *|rathole )(\d\S*)/m },
  bore: { args: ['--version'], answer: /bore-cli (\S+)/ },
  wstunnel: { args: ['--version'], answer: /wstunnel\S* (\S+)/ },
  sshd: { args: ['-V'], answer: /OpenSSH_([\w.]+)/ },
  ssh: { args: ['-V'], answer: /OpenSSH_([\w.]+)/ },
  openssl: { args: ['version'], answer: /OpenSSL (\S+)/ },
  'redis-server': { args: ['--version'], answer: /v=(\S+)/ },
  java: { args: ['-version'], answer: /version "([^"]+)"/ },
  python3: { args: ['--version'], answer: /Python (\S+)/ },
}

/** Programs in Go say what they were built of, when Go is asked: bench-load for the compiler's sake. */
const goAnswers: Readonly<Record<string, RegExp>> = {
  'bench-load': /: (go\S+)/,
  'yamux-tunnel': /hashicorp\/yamux\s+(v\S+)/,
  'toxiproxy-server': /Shopify\/toxiproxy\/v2\s+(v\S+)/,
}

/** The part of what a program says that is its version. Pure. Undefined for one that is not known. */
export function parseVersion(program: string, said: string): string | undefined {
  return (questions[program]?.answer ?? goAnswers[program])?.exec(said)?.[1]
}

/** Of all that the bench and those that were measured need, where it can be asked. */
export async function readVersions(
  bench: Pick<Bench, 'needs' | 'without'>,
  measured: readonly Contestant[],
): Promise<Versions> {
  const programs = new Set([
    ...measured.flatMap(({ needs }) => needs),
    ...needsOf(bench),
    ...Object.keys(bench.without ?? {}),
  ])
  const versions: Record<string, string> = { node: process.versions.node }
  for (const program of programs) {
    const version = askVersion(program)
    if (version !== undefined) versions[program] = version
  }
  for (const one of measured) Object.assign(versions, await one.moreVersions?.())
  return versions
}

function askVersion(program: string): string | undefined {
  const path = findProgram(program)
  const args = questions[program]?.args
  if (path === undefined) return undefined
  if (args !== undefined) return parseVersion(program, output(path, args))
  const go = program in goAnswers ? findProgram('go') : undefined
  return go === undefined ? undefined : parseVersion(program, output(go, ['version', '-m', path]))
}

/** Both outputs of a program, whatever it ended with; empty when it cannot be run. */
function output(path: string, args: readonly string[]): string {
  try {
    return execFileSync('sh', ['-c', '"$0" "$@" 2>&1 || true', path, ...args], {
      encoding: 'utf8',
      timeout: 5_000,
    })
  } catch {
    return ''
  }
}
