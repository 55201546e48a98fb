/**
 * The last resort against orphans: a tiny shell that waits for this process to be gone, by
 * whatever signal, and then ends all that carries this run's mark in its environment, and
 * removes the run's folders. pdeathsig ends direct children already; the guardian finds what
 * they had started themselves (a PySpark driver's Python, a pip of the user's).
 * Used by session.ts and submit.ts; needs /proc, does nothing elsewhere.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

/** Environment variable that marks every process of a run; its value is the run's name. */
export const RUN_MARK = 'SPARK_LAMBDA_RELAY_RUN'
/** The same, on what belongs to Spark's driver only. */
export const DRIVER_MARK = 'SPARK_LAMBDA_RELAY_DRIVER'

// `cat` returns when the agent's end of the pipe is gone. The mark is compared whole, so no
// other run's process can match. Rounds: what one missed was just being forked. One grep a
// round, because a machine that is in trouble forks slowly.
const script = `
trap '' HUP INT TERM
cat >/dev/null
mark=$1; shift
for round in TERM KILL KILL; do
  sleep 0.5
  for environment in $(grep -lzsxF "$mark" /proc/[0-9]*/environ); do
    pid=\${environment#/proc/}
    kill -$round "\${pid%/environ}" 2>/dev/null
  done
done
rm -rf -- "$@"
`

export interface Guardian {
  /** Lets it go without doing anything: the run ended in order. */
  dismiss(): void
}

/** Starts the guardian of `run`, which removes the folders `dirs` at the end. */
export function startGuardian(run: string, dirs: readonly string[]): Guardian {
  if (!existsSync('/proc/self/environ')) return { dismiss: () => {} }
  // A session of its own: Ctrl-C on the terminal must not reach it. No mark: it would find itself.
  const { [RUN_MARK]: _mark, ...environment } = process.env
  const child: ChildProcess = spawn('sh', ['-c', script, 'guardian', `${RUN_MARK}=${run}`, ...dirs], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: environment,
  })
  child.on('error', () => {})
  child.stdin?.on('error', () => {})
  child.unref()
  ;(child.stdin as unknown as { unref?: () => void } | null)?.unref?.()
  return {
    dismiss() {
      child.kill('SIGKILL')
    },
  }
}

/** Process ids that carry `mark` of `run`, this process excepted. Empty without /proc. */
export function markedProcesses(mark: typeof RUN_MARK | typeof DRIVER_MARK, run: string): number[] {
  const found: number[] = []
  for (const name of listProc()) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    try {
      const entries = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
      if (entries.includes(`${mark}=${run}`)) found.push(pid)
    } catch {
      // Another user's, or gone meanwhile.
    }
  }
  return found
}

function listProc(): string[] {
  try {
    return readdirSync('/proc')
  } catch {
    return []
  }
}
