/** Where keys and tokens of running commands must not be: arguments, which every user of the machine reads, and logs. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { selfCommand } from '../../cli/self.ts'
import { expiryIn, generateKeyLine, parseKeys, type SigningKey, signToken } from '../../relay/token/index.ts'
import { RedisServer, whyNoRedis } from '../helper/redis.ts'
import { spawnRelay } from '../helper/relay-process.ts'
import { makeTempFolder } from '../helper/temp-folder.ts'

interface Secrets {
  readonly line: string
  readonly file: string
  readonly tokenFile: string
  /** What must be seen nowhere: the key as it is written, as bytes in other writings, and the token. */
  readonly hidden: readonly string[]
}

async function makeSecrets(folder: string): Promise<Secrets> {
  const line = generateKeyLine('only', '*')
  const [file, tokenFile] = [join(folder, 'keys'), join(folder, 'token')]
  const claims = { app: 'hush', addr: '127.64.0.2', gen: 0, role: 'tool', exp: expiryIn(60_000) } as const
  const token = await signToken(parseKeys(line, 'test')[0] as SigningKey, claims)
  writeFileSync(file, line, { mode: 0o600 })
  writeFileSync(tokenFile, token, { mode: 0o600 })
  const secret = line.split(':')[2] as string
  const bytes = Buffer.from(secret, 'base64url')
  return { line, file, tokenFile, hidden: [secret, bytes.toString('hex'), bytes.toString('base64'), token] }
}

/** Reads the arguments of all processes until `work` is done; answers those in which something hidden stood. */
async function argumentsThatTell(hidden: readonly string[], work: Promise<unknown>): Promise<string[]> {
  const telling = new Set<string>()
  let isOver = false
  const end = (): void => {
    isOver = true
  }
  work.then(end, end)
  do {
    for (const pid of readdirSync('/proc')) {
      if (!/^\d+$/.test(pid)) continue
      const words = argumentsOf(pid)
      if (hidden.some((one) => words.includes(one))) telling.add(words.replaceAll('\0', ' '))
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  } while (!isOver)
  await work
  return [...telling]
}

function argumentsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return '' // gone meanwhile
  }
}

/** Runs an `exec` that stays for a second; answers what it logged. */
async function runExec(relay: string, options: readonly string[], environment: NodeJS.ProcessEnv) {
  const [program, ...args] = selfCommand([
    ...['exec', '--relay', relay, '--app', 'hush', '--address', '127.64.0.2', '--log-level', 'trace'],
    ...['--log-format', 'json', ...options, '--', 'sh', '-c', 'echo up; sleep 1'],
  ])
  const child = spawn(program, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const [out, log, [code]] = await Promise.all([
    text(child.stdout as Readable),
    text(child.stderr as Readable),
    once(child, 'close'),
  ])
  expect({ code, out }, log).toEqual({ code: 0, out: 'up\n' })
  return log
}

const { SLR_SECRET: _secret, ...rest } = process.env
const kinds = [
  { name: 'one relay', workers: [] as readonly string[] },
  ...(whyNoRedis() === undefined ? [{ name: 'two workers', workers: ['--workers', '2'] }] : []),
]

describe.each(kinds)('the key and tokens of $name and of its exec', ({ workers }) => {
  it.each(['a file', 'SLR_SECRET'])('stand in no arguments and in no log, out of %s', async (from) => {
    const folder = makeTempFolder('slr-hush-')
    onTestFinished(() => folder.remove())
    const secrets = await makeSecrets(folder.path)
    const isFile = from === 'a file'
    const keys = isFile ? ['--secret-file', secrets.file] : []
    const variable = isFile ? {} : { SLR_SECRET: secrets.line }
    const shared: string[] = []
    if (workers.length > 0) {
      const redis = await RedisServer.start()
      onTestFinished(() => redis.stop())
      shared.push(...workers, '--redis', redis.url)
    }
    const listen = ['--listen', `unix:${join(folder.path, 'relay.sock')}`]
    const work = (async () => {
      const relay = spawnRelay([...listen, ...keys, ...shared, '--log-level', 'trace'], {
        SLR_SECRET: '',
        ...variable,
      })
      onTestFinished(async () => {
        relay.child.kill('SIGKILL')
        await relay.ended
      })
      const [url] = (await relay.listening) as [string]
      const logs = [
        await runExec(url, keys, { ...rest, ...variable }),
        await runExec(url, ['--token-file', secrets.tokenFile], rest),
        await runExec(url, ['--isolate', ...keys], { ...rest, ...variable }),
      ]
      relay.child.kill('SIGTERM')
      expect((await relay.ended).code).toBe(0)
      return [...logs, relay.output.stderr, relay.output.stdout]
    })()
    expect(await argumentsThatTell(secrets.hidden, work)).toEqual([])
    const logs = await work
    expect(logs[3]).toContain('"msg":"ready"')
    for (const log of logs) {
      for (const hidden of secrets.hidden) expect(log).not.toContain(hidden)
      expect(log).not.toMatch(/\beyJ[\w-]+\.[\w-]+/) // also tokens that exec signed itself
    }
  })
})
