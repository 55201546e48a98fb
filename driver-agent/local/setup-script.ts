/**
 * The shell script that is process 1 of a function's namespaces: brings up loopback, hides
 * files, gives up privileges, and runs the shim. Pure text. Used by function.ts and probe.ts.
 */
import type { NamespaceMode } from './namespace.ts'
import type { Mount } from './visibility.ts'

/** Exit code of a setup that failed; its last line on stderr says what. */
export const SETUP_FAILED = 97

/** Descriptors that the script gets beside 0 to 2. */
export const fds = { log: 3, ready: 4 } as const

/**
 * What a process inside may do although it is root there: what a container's root may, and
 * nothing with mounts, networks, devices or other processes' memory.
 */
const bounding = '-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid'

export interface Setup {
  readonly mounts: readonly Mount[]
  /** Size of a tmpfs that becomes the function's /tmp, mounted on the folder `on` before all else. */
  readonly tmp?: { readonly on: string; readonly bytes: number }
  /** `root`: what is root inside is so outside, and owns the files by which the machine is set up. */
  readonly mode: NamespaceMode
  /** Tests only: turns IPv6 off, as on a machine without it. */
  readonly disableIpv6?: boolean
}

/**
 * Text of the script; setupCommand() runs it. Writes `ready` to descriptor 4 when all is set up; the command
 * gets the script's own stdin. The script stays: as process 1 it reaps orphans, and its end
 * ends all of them.
 */
export function setupScript(setup: Setup): string {
  return [
    'set -u',
    `fail() { echo "spark-lambda-relay: $1" >&2; exit ${SETUP_FAILED}; }`,
    'exec 5<&0 </dev/null',
    'kept=$PATH; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin',
    loopbackUp,
    // In a container without privileges a new /proc may be refused; the old one shows more processes, but lets nobody into them.
    'mount -t proc proc /proc 2>/dev/null',
    ...(setup.disableIpv6 === true
      ? ['echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 || fail "cannot turn IPv6 off"']
      : []),
    ...(setup.tmp === undefined
      ? []
      : [mountLine({ do: 'tmpfs', target: setup.tmp.on, mode: '1777', bytes: setup.tmp.bytes })]),
    ...setup.mounts.map(mountLine),
    ...(setup.mode === 'root' ? [machineReadOnly] : []),
    'cd /tmp || fail "the function has no /tmp"',
    dropRights,
    'PATH=$kept',
    `{ echo ready >&${fds.ready}; } 2>/dev/null; exec ${fds.ready}>&-`,
    'drop "$@" <&5 5<&-',
    'exit $?',
  ].join('\n')
}

// A namespace's lo begins down. iproute2 is often missing in small images; perl or Python rarely are.
const loopbackUp = `
up() {
  ip link set lo up 2>/dev/null && return
  ifconfig lo up 2>/dev/null && return
  busybox ip link set lo up 2>/dev/null && return
  perl -e 'socket(S,2,2,0) or exit 1; $r=pack("a16 s x22","lo",0); ioctl(S,0x8913,$r) or exit 1; $f=unpack("x16 s",$r); ioctl(S,0x8914,pack("a16 s x22","lo",$f|1)) or exit 1' 2>/dev/null && return
  python3 -c 'import fcntl,socket,struct
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
f=struct.unpack("16sh",fcntl.ioctl(s,0x8913,struct.pack("16sh14x",b"lo",0))[:18])[1]
fcntl.ioctl(s,0x8914,struct.pack("16sh14x",b"lo",f|1))' 2>/dev/null && return
  fail "cannot bring up the loopback interface: install iproute2 (the program ip), perl or python3"
}
up`

// With CAP_SYS_ADMIN in its namespaces a function could take away what hides files from it.
const dropRights = `
setpriv=$(command -v setpriv) || fail "setpriv is missing, without which executors would keep rights of root: install util-linux"
drop() { "$setpriv" --no-new-privs --inh-caps=-all --bounding-set=${bounding} -- "$@"; }
case $(drop cat /proc/self/status) in *"CapEff:\t00000000000000"*) ;; *) false;; esac || fail "setpriv does not take the rights of root from executors: install that of util-linux"`

/**
 * Without capabilities, root still owns /proc/sys and /sys: it could name a program that the kernel starts
 * outside (core_pattern, uevent_helper, release_agent). In a user namespace they belong to nobody inside.
 * Below /sys are mounts of their own (cgroup, debugfs), each with flags of its own.
 */
const machineReadOnly = `
protect() { mount -o remount,bind,ro "$1" || fail "cannot make $1 read-only"; }
for each in sys sysrq-trigger irq bus fs; do
  [ -e "/proc/$each" ] || continue
  mount --bind "/proc/$each" "/proc/$each" || fail "cannot make /proc/$each read-only"
  protect "/proc/$each"
done
below_sys() { while read -r _ _ _ _ point _; do case $point in /sys|/sys/*) echo "$point";; esac; done; }
for each in $(below_sys </proc/self/mountinfo); do protect "$each"; done`

function mountLine(mount: Mount): string {
  const target = quote(mount.target)
  if (mount.do === 'tmpfs') {
    const options = `size=${mount.bytes},mode=${mount.mode}`
    return `mkdir -p ${target} 2>/dev/null; mount -t tmpfs -o ${options} tmpfs ${target} || fail ${quote(`cannot hide ${mount.target}`)}`
  }
  const make =
    mount.kind === 'folder'
      ? `mkdir -p ${target} 2>/dev/null`
      : `[ -e ${target} ] || { mkdir -p ${quote(parent(mount.target))} && : >${target}; } 2>/dev/null`
  return `${make}; mount --rbind ${quote(mount.source)} ${target} || fail ${quote(`cannot bind ${mount.source}`)}`
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/'
}

/**
 * Command and environment that run `script` with `command`. The script travels in the
 * environment, where it does not fill every listing of processes, and is taken out of it.
 */
export function setupCommand(
  script: string,
  command: readonly string[],
): { readonly command: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  const bootstrap = 'script=$SLR_SETUP; unset SLR_SETUP; eval "$script"'
  return { command: ['sh', '-c', bootstrap, 'function', ...command], env: { SLR_SETUP: script } }
}

/** For a shell, whatever the path holds. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
