/** The directory that the command line asks for: memory, or Redis with what is needed to get in. Used by run.ts. */
import { readFileSync } from 'node:fs'
import type { Logger } from 'pino'
import type { RelayOptions } from '../../cli/options/index.ts'
import type { Directory } from '../directory/directory.ts'
import { MemoryDirectory } from '../directory/memory.ts'
import { RedisDirectory } from '../directory/redis.ts'
import { parseRedisUrl, redactRedisUrl, redisUrlForms } from '../directory/redis-url.ts'
import type { Clock } from '../time/clock.ts'
import { readPrivateFile } from '../token/private-file.ts'

/** A Redis option that cannot work. Ends the command with 2. */
export class DirectoryOptionError extends Error {
  override readonly name = 'DirectoryOptionError'
  readonly exitCode = 2
}

/** A command of ours waits this long for Redis, ms: a hung one shows within this time. */
const COMMAND_MS = 1_000

/** A Redis that is away now does not keep a relay from starting: it becomes ready when Redis answers. */
export async function createDirectory(options: RelayOptions, clock: Clock, log: Logger): Promise<Directory> {
  const { redis } = options
  if (redis === undefined) return new MemoryDirectory({ clock })
  const target = parseRedisUrl(redis)
  if (target === undefined) throw new DirectoryOptionError(`--redis: must be ${redisUrlForms}`)
  const { redisPasswordFile, redisCa } = options
  log.info({ redis: redactRedisUrl(redis) }, 'shares its directory with other relays')
  try {
    return await RedisDirectory.open({
      target,
      password: redisPasswordFile === undefined ? undefined : await readPassword(redisPasswordFile),
      tlsCa: redisCa === undefined ? undefined : readCa(redisCa),
      commandMs: COMMAND_MS,
      clock,
      log,
    })
  } catch (cause) {
    if ((cause as Error).name !== 'RedisAccessError') throw cause
    throw new DirectoryOptionError(
      `--redis ${redactRedisUrl(redis)}: ${(cause as Error).message}; put the password into SLR_REDIS or into the file of --redis-password-file`,
      { cause },
    )
  }
}

async function readPassword(file: string): Promise<string> {
  const text = await readPrivateFile(file, {
    unreadable: (cause) => unreadable('--redis-password-file', file, cause),
    tooOpen: () =>
      new DirectoryOptionError(
        `--redis-password-file ${file} can be read by other users; run: chmod 600 ${file}`,
      ),
  })
  const password = text.trim()
  if (password === '') throw new DirectoryOptionError(`--redis-password-file ${file} is empty`)
  return password
}

function readCa(file: string): Buffer {
  const pem = readFile('--redis-ca', file)
  if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
  throw new DirectoryOptionError(
    `--redis-ca ${file} is not PEM: it must hold a block -----BEGIN CERTIFICATE-----`,
  )
}

function readFile(option: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw unreadable(option, file, cause as NodeJS.ErrnoException)
  }
}

function unreadable(option: string, file: string, cause: NodeJS.ErrnoException): DirectoryOptionError {
  return new DirectoryOptionError(`${option} ${file} cannot be read (${cause.code}); name a file of yours`, {
    cause,
  })
}
