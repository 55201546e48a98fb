/** How namespaces are made on this machine: as real root, or as a user through a user namespace. Used by function.ts and probe.ts. */
import { readFileSync } from 'node:fs'

/** `root`: no user namespace, files keep their owners. `user`: root only inside. */
export type NamespaceMode = 'root' | 'user'

/** To take others away from functions. */
const CAP_SETPCAP = 8
const CAP_NET_ADMIN = 12
const CAP_SYS_ADMIN = 21

/** `unshare` and its options, to be followed by a command. All that the command starts dies with unshare. */
export function unshareCommand(mode: NamespaceMode): readonly string[] {
  const user = mode === 'user' ? ['--user', '--map-root-user'] : []
  return ['unshare', ...user, '--net', '--mount', '--pid', '--ipc', '--fork', '--kill-child', '--']
}

export function namespaceMode(): NamespaceMode {
  try {
    return modeOf(process.getuid?.() ?? -1, readFileSync('/proc/self/status', 'latin1'))
  } catch {
    return 'user'
  }
}

/** A container's root often lacks the capabilities, and is treated as any other user. */
export function modeOf(uid: number, status: string): NamespaceMode {
  const effective = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  const has = (capability: number) => (effective & (1n << BigInt(capability))) !== 0n
  const needed = [CAP_SETPCAP, CAP_NET_ADMIN, CAP_SYS_ADMIN]
  return uid === 0 && needed.every(has) ? 'root' : 'user'
}
