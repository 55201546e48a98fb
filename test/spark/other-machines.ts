/**
 * Machines that this one can pretend to be: one without IPv6, one on which we are nobody. Each
 * is a prefix of a command (SubmitSpec.under) and an environment. For test/spark/ only; the
 * second needs root.
 */
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from '../../driver-agent/spawn.ts'

export interface OtherMachine {
  readonly under: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly owner?: number
  /** A folder of the machine's own. */
  readonly folder: string
  remove(): void
}

export const isRoot = process.getuid?.() === 0
export const NOBODY = 65534

const disableIpv6 = 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'

/**
 * Neither the driver's machine nor any network namespace made on it has ::1. The first is a
 * namespace of the test's own; the second is an `unshare` ahead on PATH that turns IPv6 off in
 * what it makes, as a kernel without IPv6 would.
 */
export function machineWithoutIpv6(): OtherMachine {
  const folder = mkdtempSync(join(tmpdir(), 'slr-no-ipv6-'))
  wrapUnshare(folder, `sh -c '${disableIpv6} || exit 97; exec "$@"' sh`)
  const user = isRoot ? [] : ['--user', '--map-root-user']
  const begin = `ip link set lo up && ${disableIpv6} && exec "$@"`
  return {
    under: ['unshare', ...user, '--net', '--', 'sh', '-c', begin, 'sh'],
    env: { PATH: `${folder}:${process.env.PATH}` },
    folder,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** We are user 65534 with a home of our own and nothing else; of root's files we see what all may see. */
export function unprivilegedUser(): OtherMachine {
  const folder = mkdtempSync(join(tmpdir(), 'slr-nobody-'))
  chownSync(folder, NOBODY, NOBODY)
  return {
    under: ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'],
    env: { HOME: folder, TMPDIR: folder, USER: 'nobody', LOGNAME: 'nobody' },
    owner: NOBODY,
    folder,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Executors' work folders are tmpfs of so many MiB, in their own mount namespace only. */
export function machineWithSmallDisk(mebibytes: number): OtherMachine {
  const folder = mkdtempSync(join(tmpdir(), 'slr-small-disk-'))
  // The last step of a function's setup is to enter its /tmp; below it the shim makes `work`.
  const mount = `mkdir -p /tmp/work \\&\\& mount -t tmpfs -o size=${mebibytes}m,mode=0700 tmpfs /tmp/work \\&\\& cd /tmp`
  wrapUnshare(folder, '', `SLR_SETUP=$(printf '%s\\n' "$SLR_SETUP" | sed 's#^cd /tmp#${mount}#')`)
  return {
    under: [],
    env: { PATH: `${folder}:${process.env.PATH}` },
    folder,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Writes an `unshare` into `folder` that runs `before`, and the real one with `inside` ahead of its command. */
function wrapUnshare(folder: string, inside: string, before = ':'): void {
  const file = join(folder, 'unshare')
  writeFileSync(
    file,
    `#!/bin/sh
${before}
seen=
for word do
  shift
  set -- "$@" "$word"
  if [ "$word" = -- ] && [ -z "$seen" ]; then seen=1; set -- "$@" ${inside}; fi
done
exec ${findProgram('unshare')} "$@"
`,
  )
  chmodSync(file, 0o755)
}
