/** Says whether this machine lets us isolate functions, and if not, how to mend it. For `doctor` and the agent. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { findProgram } from '../spawn.ts'
import { type NamespaceMode, namespaceMode, unshareCommand } from './namespace.ts'
import { explainProbe, type ProbeFacts } from './probe-verdict.ts'
import { fds, setupCommand, setupScript } from './setup-script.ts'

export type ProbeResult =
  | { readonly ok: true; readonly mode: NamespaceMode }
  /** Each one sentence. */
  | { readonly ok: false; readonly cause: string; readonly remedy: string }

/** A namespace is made in milliseconds; a machine that needs more than this hangs. */
const LIMIT_MS = 10_000

const SYSTEM_PATH = '/usr/sbin:/sbin:/usr/bin:/bin'

/** Tries what every function needs, in a process that ends at once. Never rejects. */
export async function probeNamespaces(): Promise<ProbeResult> {
  const mode = namespaceMode()
  const isLinux = process.platform === 'linux'
  const hasUnshare = isLinux && findProgram('unshare') !== undefined
  const tried = hasUnshare ? await tryNamespaces(mode) : { code: null, stderr: '' }
  if (tried.code === 0) return { ok: true, mode }
  const facts: ProbeFacts = {
    platform: process.platform,
    hasUnshare,
    mode,
    isRoot: process.getuid?.() === 0,
    stderr: tried.stderr,
    maxUserNamespaces: readNumber('/proc/sys/user/max_user_namespaces'),
    unprivilegedUsernsClone: readNumber('/proc/sys/kernel/unprivileged_userns_clone'),
    apparmorRestricts: readNumber('/proc/sys/kernel/apparmor_restrict_unprivileged_userns'),
    seccomp: seccompMode(),
  }
  return { ok: false, ...explainProbe(facts) }
}

function tryNamespaces(
  mode: NamespaceMode,
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const script = setupScript({
    mode,
    mounts: [{ do: 'tmpfs', target: '/tmp', mode: '1777', bytes: 64 * 1024 }],
  })
  const { command, env } = setupCommand(script, ['true'])
  const [program = '', ...args] = [...unshareCommand(mode), ...command]
  return new Promise((resolve) => {
    const stdio: ('ignore' | 'pipe')[] = Array.from({ length: fds.ready + 1 }, () => 'ignore')
    stdio[2] = 'pipe'
    const child = spawn(program, args, {
      stdio,
      // A PATH may hold only folders that the probe's /tmp hides; functions get programs by their full names.
      env: { PATH: `${process.env.PATH ?? ''}:${SYSTEM_PATH}`, LC_ALL: 'C', ...env },
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
    })
    let stderr = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-4096)
    })
    child.once('error', (error) => resolve({ code: null, stderr: error.message }))
    child.once('close', (code) => resolve({ code, stderr }))
  })
}

function readNumber(file: string): number | undefined {
  try {
    return Number(readFileSync(file, 'latin1'))
  } catch {
    return undefined
  }
}

/** 0: none, 2: a filter, as containers have. */
function seccompMode(): number | undefined {
  try {
    return Number(/^Seccomp:\s+(\d)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1])
  } catch {
    return undefined
  }
}
