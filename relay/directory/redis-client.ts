/**
 * Connections to Redis, whatever is at the other end: one server, what Sentinels call master, or
 * a Cluster. All that is ioredis's own is said here. Used by redis.ts only.
 */
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { RedisTarget } from './redis-url.ts'

export type RedisClient = Redis | Cluster

export interface RedisAccess {
  readonly target: RedisTarget
  /** From a file; the URL's own comes second. */
  readonly password?: string | undefined
  /** PEM of the CA that signed the servers' certificates; absent: the system's. */
  readonly tlsCa?: Buffer | undefined
  /** A command without an answer for this long has failed, ms. */
  readonly commandMs: number
}

/** Waits between two connects, ms: quick, for a failover takes seconds and every relay waits for it. */
function retryLater(times: number): number {
  return Math.min(1_000, 50 * 2 ** Math.min(times, 10)) * (0.5 + Math.random() / 2)
}

/** `commands`: fails at once while there is no connection. `hints`: connects again for ever; whoever uses it subscribes. */
export function connectRedis(access: RedisAccess, use: 'commands' | 'hints'): RedisClient {
  const { target, commandMs } = access
  const password = access.password ?? target.password
  const tls = target.hasTls ? { tls: access.tlsCa === undefined ? {} : { ca: access.tlsCa } } : {}
  const isForCommands = use === 'commands'
  const common: RedisOptions = {
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(password === undefined ? {} : { password }),
    ...tls,
    connectTimeout: 2 * commandMs,
    connectionName: `slr-${use}`,
    autoResendUnfulfilledCommands: false,
    // It drops the promise: closed before the answer, it would end the process as a rejection that nobody handles.
    autoResubscribe: false,
    maxRetriesPerRequest: isForCommands ? 0 : null,
    // After a failover the old master answers this until it is left.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...(isForCommands ? { commandTimeout: commandMs } : {}),
  }
  const alone = { ...common, db: target.db, retryStrategy: retryLater, enableOfflineQueue: !isForCommands }
  switch (target.is) {
    case 'standalone': {
      const [node] = target.nodes
      return new Redis({ ...alone, host: node?.host ?? '127.0.0.1', port: node?.port ?? 6379 })
    }
    case 'sentinel':
      return new Redis({
        ...alone,
        sentinels: target.nodes.map((node) => ({ ...node })),
        name: target.groupName,
        // A Sentinel is asked with the same secret, as managed services do it.
        ...(password === undefined ? {} : { sentinelPassword: password }),
        ...(target.hasTls ? { enableTLSForSentinelMode: true, sentinelTLS: tls.tls ?? {} } : {}),
        sentinelRetryStrategy: retryLater,
        sentinelCommandTimeout: commandMs,
        failoverDetector: true,
      })
    case 'cluster': {
      const { retryStrategy: _, enableOfflineQueue: __, ...redisOptions } = alone
      return new Cluster(
        target.nodes.map((node) => ({ ...node })),
        {
          redisOptions: { ...redisOptions, db: 0, maxRetriesPerRequest: null },
          clusterRetryStrategy: retryLater,
          enableOfflineQueue: !isForCommands,
          // A hung master is left as soon as the others have a new one.
          slotsRefreshInterval: 2 * commandMs,
          slotsRefreshTimeout: commandMs,
          retryDelayOnFailover: 100,
          retryDelayOnClusterDown: 100,
          maxRedirections: 4,
        },
      )
    }
  }
}
