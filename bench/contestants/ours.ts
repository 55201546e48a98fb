/**
 * Ourselves: a relay by the command line that users have, and two endpoints in processes of
 * their own. What the load dials at the sender's port is tunnelled to the receiver, which
 * delivers to the sink.
 */
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expiryIn, KeyRing, parseKeys, signToken } from '../../relay/token/index.ts'
import { bundledEndpoint } from '../ours/bundle.ts'
import type { EndpointPlan } from '../ours/plan.ts'
import { root } from '../testbed/programs.ts'
import { DiedError, type Role, type Testbed } from '../testbed/testbed.ts'
import type { Contestant, OursOptions } from './contestant.ts'
import { selfSigned } from './rivals.ts'

/** The application of all endpoints of a bench. */
const APP = 'bench'

export function ours(options: OursOptions): Contestant {
  return {
    name: options.name,
    note: options.note,
    isOurs: true,
    needs: options.needs ?? [],
    world: options,
    at: (name, root) => ours({ ...options, name, note: `${options.note}; ${name}`, root }),
    async start(bed) {
      const world = await startWorld(bed, options)
      const [bulk, urgent, sinkPort] = [await bed.port(), await bed.port(), await bed.port()]
      await world.endpoint('receiver', [
        { index: 2, serves: [bulk, urgent].map((port) => ({ port, to: sinkPort })), isDelayed: true },
      ])
      await world.endpoint('sender', [
        {
          index: 1,
          dials: [
            { port: bulk, class: 'bulk' },
            { port: urgent, class: 'urgent' },
          ],
        },
      ])
      return { entries: [`127.64.0.2:${bulk}`], urgent: `127.64.0.2:${urgent}`, sinkPort }
    },
  }
}

export interface EndpointWish {
  /** 1: 127.64.0.1, and so on. */
  readonly index: number
  readonly dials?: EndpointPlan['endpoints'][number]['dials']
  readonly serves?: EndpointPlan['endpoints'][number]['serves']
  readonly bulkThread?: boolean
  readonly limits?: Readonly<Record<string, number>>
  /** Its link goes through the bench's round trip, if there is one. */
  readonly isDelayed?: boolean
}

export interface World {
  /** Starts a process with these endpoints; resolves when they are attached, with the ms since the process began. */
  endpoint(role: Role, wishes: readonly EndpointWish[]): Promise<number>
}

export function virtual(index: number): string {
  return `127.64.${index >>> 8}.${index & 255}`
}

/** A relay that is ready. */
export async function startWorld(bed: Testbed, options: OursOptions): Promise<World> {
  const scheme = options.scheme ?? 'tcp'
  const at = options.root ?? root
  const secret = `bench:*:${randomBytes(32).toString('base64url')}`
  const key = KeyRing.of(parseKeys(secret, 'the bench')).signer(APP)
  const env = { ...process.env, SLR_SECRET: secret, SLR_LOG_LEVEL: 'warn' }
  let plans = 0
  const hasTls = scheme === 'tls' || scheme === 'wss'
  const tls = hasTls ? selfSigned(bed) : undefined
  const args: (string | number)[] = ['--max-links', 40_000, '--max-unauthenticated', 1_000]
  if (tls !== undefined) args.push('--tls-cert', tls.cert, '--tls-key', tls.key)
  const startRelay = async (more: readonly (string | number)[], socket: string): Promise<string> => {
    const listen = scheme === 'unix' ? `unix:${bed.dir}/${socket}` : '127.0.0.1:0'
    const words = ['relay', '--announce', '--lifeline', '--listen', listen, ...args, ...more]
    const main = [...bed.nodeFlags('relay'), join(at, 'cli/main.ts'), ...words]
    const relay = bed.start('relay', process.execPath, main, { stdio: 'pipes', env })
    const { listening } = await announcement<{ listening: string[] }>(bed, relay)
    return listening[0] as string
  }
  const bound: string[] = []
  if (options.hasClassesApart) {
    const redis = await bed.port()
    bed.start('helper', 'redis-server', [
      '--port',
      redis,
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--dir',
      bed.dir,
    ])
    await bed.listening(redis)
    for (const one of ['urgent', 'bulk']) {
      const directory = ['--redis', `redis://127.0.0.1:${redis}`, '--classes', one]
      bound.push(await startRelay(directory, `${one}.sock`))
    }
  } else bound.push(await startRelay([], 'relay.sock'))
  const urlsOf = (isDelayed: boolean): Promise<string[]> =>
    Promise.all(
      bound.map(async (url) => {
        if (scheme === 'unix') return url
        const port = Number(/:(\d+)$/.exec(url)?.[1])
        return `${scheme}://${isDelayed ? await bed.hop(port) : `127.0.0.1:${port}`}`
      }),
    )

  return {
    async endpoint(role, wishes) {
      // Signed here: an endpoint that signs nothing holds no code for it.
      const exp = expiryIn(3_600_000)
      const tokens = await Promise.all(
        wishes.map(({ index }) =>
          signToken(key, { app: APP, addr: virtual(index), gen: 1, role: 'executor', exp }),
        ),
      )
      plans += 1
      const plan: EndpointPlan = {
        root: at,
        app: APP,
        tokensFile: bed.file(`tokens-${plans}.json`, JSON.stringify(tokens)),
        tlsCaFile: tls?.cert,
        endpoints: await Promise.all(
          wishes.map(async (wish) => ({
            address: virtual(wish.index),
            relays: await urlsOf(wish.isDelayed ?? false),
            dials: wish.dials ?? [],
            serves: wish.serves ?? [],
            bulkThread: wish.bulkThread ?? true,
            limits: wish.limits,
          })),
        ),
      }
      const main = options.isBundled
        ? await bundledEndpoint(at)
        : join(import.meta.dirname, '../ours/endpoint-main.ts')
      const child = bed.start(role, process.execPath, [...bed.nodeFlags(role), main, JSON.stringify(plan)], {
        stdio: 'pipes',
      })
      return (await announcement<{ attachedMs: number }>(bed, child)).attachedMs
    },
  }
}

/** The first line that a child of ours writes. */
function announcement<T>(bed: Testbed, child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail('said nothing for 30 s'), 30_000)
    const fail = (why: string): void => {
      clearTimeout(timer)
      reject(new DiedError(`a process of ours ${why}${bed.lastWords()}`))
    }
    child.once('exit', (code, signal) => fail(`ended with ${signal ?? code}`))
    const { stdout } = child
    if (stdout === null) throw new Error('the child has no stdout')
    createInterface({ input: stdout }).once('line', (line) => {
      clearTimeout(timer)
      child.removeAllListeners('exit')
      resolve(JSON.parse(line) as T)
    })
  })
}

export const native = ours({
  name: 'ours',
  note: 'native links over TCP, plain; acknowledgement and resume on',
})
