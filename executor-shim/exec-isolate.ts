/**
 * `exec --isolate`: runs the same command line once more inside a network namespace of its
 * own, where there is nothing but loopback. The tunnel has to be inside as well, since its
 * listeners are what the command dials; so the relay must be reached by a Unix socket. Files,
 * processes and user stay those of the machine. Used by exec.ts. Linux only.
 */
import { execFile } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { promisify } from 'node:util'
import type { CommandContext } from '../cli/context.ts'
import type { ExecOptions } from '../cli/options/index.ts'
import { startChild } from './exec-child.ts'
import { ExecError } from './exec-errors.ts'

/** Tells the inner run from the outer: the namespace that the outer one lives in. */
const OUTER = 'SPARK_LAMBDA_RELAY_OUTER_NETWORK'

const CAP_NET_ADMIN = 12n
const CAP_SYS_ADMIN = 21n

/** Whether this process is the inner one. The variable must not reach the command, which may run `exec` itself. */
export function isInside(environment: NodeJS.ProcessEnv): boolean {
  const outer = environment[OUTER]
  return outer !== undefined && outer !== ownNetwork()
}

/**
 * What the command gets: nothing of how it was started, and no keys, so that nothing that it starts or logs has
 * them. It is no fence: as the same user it can read ours in /proc, which --help and README say.
 */
export function commandEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { [OUTER]: _outer, SLR_SECRET: _secret, ...rest } = environment
  return rest
}

/** Runs this command line inside a new namespace; answers its exit code. Throws ExecError. */
export async function runIsolated(options: ExecOptions, context: CommandContext): Promise<number> {
  const unreachable = options.relay.find((url) => !url.startsWith('unix:'))
  if (unreachable !== undefined) {
    throw new ExecError(
      'usage',
      `--isolate leaves no network by which ${unreachable} could be reached: have a relay listen on unix:<path> and name that by --relay`,
    )
  }
  const network = ownNetwork()
  if (network === undefined)
    throw new ExecError('isolate', '--isolate needs Linux namespaces: leave it out here')
  const enter = enterCommand(process.getuid?.() ?? 0, process.getgid?.() ?? 0, readStatus())
  await assertCanEnter(enter)
  const self = context.selfCommand(process.argv.slice(2))
  const child = startChild([...enter, ...self], { ...process.env, [OUTER]: network })
  const exitCode = await child.exitCode
  child.release()
  return exitCode
}

/**
 * The command that enters a namespace with loopback up and goes on with what follows. Root
 * with its capabilities needs no user namespace. Anyone else is root in one for as long as it
 * takes to bring up loopback, and itself again in a second one; where unshare is too old to
 * map a user (before util-linux 2.36), it stays root inside. Pure.
 */
export function enterCommand(uid: number, gid: number, status: string): string[] {
  const effective = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  const hasAll = [CAP_NET_ADMIN, CAP_SYS_ADMIN].every((capability) => (effective & (1n << capability)) !== 0n)
  if (uid === 0 && hasAll) return ['unshare', '--net', '--', 'sh', '-c', `${loopbackUp}\nexec "$@"`, 'exec']
  const self = `unshare --user --map-user=${uid} --map-group=${gid} --`
  const script = `${loopbackUp}\n${self} true 2>/dev/null && exec ${self} "$@"\nexec "$@"`
  return ['unshare', '--user', '--map-root-user', '--net', '--', 'sh', '-c', script, 'exec']
}

// A namespace's lo begins down. iproute2 is often missing in small images; perl or Python rarely are.
const loopbackUp = `
up() {
  PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
  ip link set lo up 2>/dev/null && return
  ifconfig lo up 2>/dev/null && return
  perl -e 'socket(S,2,2,0) or exit 1; $r=pack("a16 s x22","lo",0); ioctl(S,0x8913,$r) or exit 1; $f=unpack("x16 s",$r); ioctl(S,0x8914,pack("a16 s x22","lo",$f|1)) or exit 1' 2>/dev/null && return
  python3 -c 'import fcntl,socket,struct
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
f=struct.unpack("16sh",fcntl.ioctl(s,0x8913,struct.pack("16sh14x",b"lo",0))[:18])[1]
fcntl.ioctl(s,0x8914,struct.pack("16sh14x",b"lo",f|1))' 2>/dev/null && return
  echo 'no program can bring up loopback: install iproute2, perl or python3' >&2
  exit 97
}
( up ) || exit`

async function assertCanEnter(enter: readonly string[]): Promise<void> {
  const [program = '', ...args] = [...enter, 'true']
  try {
    await promisify(execFile)(program, args)
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { stderr?: string }
    const reason = stderr.trim().split('\n').at(-1) || message
    throw new ExecError(
      'isolate',
      `--isolate needs a network namespace, and none can be made here (${reason}); the command doctor says how to mend it`,
      {
        cause,
      },
    )
  }
}

/** Identity of the network namespace that we are in; undefined: not Linux. */
function ownNetwork(): string | undefined {
  try {
    return readlinkSync('/proc/self/ns/net')
  } catch {
    return undefined
  }
}

function readStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'latin1')
  } catch {
    return ''
  }
}
