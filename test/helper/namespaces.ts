/** Which namespaces a process is in, as the kernel names them. Linux. */
import { readlinkSync } from 'node:fs'

export const namespaceKinds = ['user', 'net', 'mnt', 'pid', 'ipc'] as const

/** As `user:[4026531837]`, by kind. */
export type Namespaces = Readonly<Record<(typeof namespaceKinds)[number], string>>

/** Of a process that we may look at. */
export function namespacesOf(pid: number | 'self'): Namespaces {
  const links = namespaceKinds.map((kind) => [kind, readlinkSync(`/proc/${pid}/ns/${kind}`)])
  return Object.fromEntries(links) as Namespaces
}
