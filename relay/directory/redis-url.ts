/**
 * What `--redis` may say: one server, a Sentinel group or a Cluster, with or without TLS. Pure.
 * Used by the command line to check the option and by redis-client.ts to connect.
 */

/** A host and a port. */
export interface RedisNode {
  readonly host: string
  readonly port: number
}

/** A parsed `--redis`. */
export interface RedisTarget {
  readonly is: 'standalone' | 'sentinel' | 'cluster'
  /** One for a standalone server; Sentinels or Cluster nodes to begin with otherwise. */
  readonly nodes: readonly RedisNode[]
  /** Of the Sentinel group; '' otherwise. */
  readonly groupName: string
  /** Database number; 0 in a Cluster. */
  readonly db: number
  readonly hasTls: boolean
  readonly username: string | undefined
  readonly password: string | undefined
}

/** What the option allows, for help and complaints. */
export const redisUrlForms =
  'redis://host:port[/db], redis+sentinel://host:port,host:port/group[/db] or redis+cluster://host:port,host:port; rediss for TLS'

const DEFAULT_PORT = { standalone: 6379, sentinel: 26379, cluster: 6379 } as const
const FORM = /^(redis|rediss)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^@/]+)((?:\/[\w.-]+)*)\/?$/

/** Undefined: not one of the forms. */
export function parseRedisUrl(text: string): RedisTarget | undefined {
  const found = FORM.exec(text)
  if (found === null) return undefined
  const [, scheme, kind, credentials, hosts = '', path = ''] = found
  const is = (kind ?? 'standalone') as RedisTarget['is']
  const nodes = hosts.split(',').map((host) => parseNode(host, DEFAULT_PORT[is]))
  if (nodes.includes(undefined) || (is === 'standalone' && nodes.length > 1)) return undefined
  const segments = path.split('/').slice(1)
  const groupName = is === 'sentinel' ? segments.shift() : ''
  if (groupName === undefined) return undefined
  const [db = '0', ...more] = segments
  if (!/^\d{1,4}$/.test(db) || more.length > 0 || (is === 'cluster' && db !== '0')) return undefined
  const who = parseCredentials(credentials)
  if (who === undefined) return undefined
  return {
    is,
    nodes: nodes as RedisNode[],
    groupName,
    db: Number(db),
    hasTls: scheme === 'rediss',
    ...who,
  }
}

/** The same without user and password, for logs. */
export function redactRedisUrl(text: string): string {
  return text.replace(/\/\/[^@/]*@/, '//')
}

/** Where a target's servers are, for logs: no user, no password. */
export function serversOf({ nodes }: RedisTarget): string {
  return nodes.map(({ host, port }) => `${host}:${port}`).join(', ')
}

function parseNode(text: string, defaultPort: number): RedisNode | undefined {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/.exec(text)
  if (found === null) return undefined
  const host = (found[1] ?? found[2]) as string
  const port = Number(found[3] ?? defaultPort)
  return port >= 1 && port <= 65_535 ? { host, port } : undefined
}

function parseCredentials(
  text: string | undefined,
): { username: string | undefined; password: string | undefined } | undefined {
  if (text === undefined || text === '') return { username: undefined, password: undefined }
  const colon = text.indexOf(':')
  try {
    const username = decodeURIComponent(colon < 0 ? text : text.slice(0, colon))
    const password = colon < 0 ? '' : decodeURIComponent(text.slice(colon + 1))
    return { username: username || undefined, password: password || undefined }
  } catch {
    return undefined
  }
}
