/**
 * Ourselves: a relay by the command line that users have, and two endpoints in processes of
 * their own. What the load dials at the sender's port is tunnelled to the receiver, which
 * delivers to the sink.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { expiryIn, KeyRing, parseKeys, signToken } from '../../relay/token/index.ts'
import { builtEndpoint, builtProgram } from '../ours/built.ts'
import type { EndpointPlan } from '../ours/plan.ts'
import { announced } from '../testbed/announced.ts'
import { root } from '../testbed/programs.ts'
import type { Role, Testbed } from '../testbed/testbed.ts'
import type { Contestant, OursOptions } from './contestant.ts'
import { selfSigned } from './rivals.ts'

/** The application of all endpoints of a bench. */
export const APP = 'bench'
const zeroMasks = join(import.meta.dirname, '../ours/zero-masks.ts')

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
  /** URLs of its relays, without the bench's round trip. */
  readonly relays: readonly string[]
  /** For the endpoint of that index. */
  token(index: number): Promise<string>
  /**
   * Starts a process with these endpoints; resolves when they are attached, with the ms since the process began.
   * `heard`: called for each message of a control stream that somebody opens to one of them.
   */
  endpoint(role: Role, wishes: readonly EndpointWish[], heard?: (message: unknown) => void): Promise<number>
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
    const program = options.isBuilt ? await builtProgram(at) : join(at, 'cli/main.ts')
    const main = [...bed.nodeFlags('relay'), program, ...words]
    const relay = bed.start('relay', process.execPath, main, { stdio: 'pipes', env })
    const { listening } = JSON.parse(await announced(bed, relay)) as { listening: string[] }
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

  // Signed here: an endpoint that signs nothing holds no code for it.
  const token = (index: number): Promise<string> => {
    const exp = expiryIn(3_600_000)
    return signToken(key, { app: APP, addr: virtual(index), gen: 1, role: 'executor', exp })
  }
  return {
    relays: await urlsOf(false),
    token,
    async endpoint(role, wishes, heard) {
      const tokens = await Promise.all(wishes.map(({ index }) => token(index)))
      plans += 1
      const plan: EndpointPlan = {
        root: at,
        app: APP,
        tokensFile: bed.file(`tokens-${plans}.json`, JSON.stringify(tokens)),
        tlsCaFile: tls?.cert,
        tellsControl: heard !== undefined,
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
      const main = options.isBuilt
        ? await builtEndpoint(at)
        : join(import.meta.dirname, '../ours/endpoint-main.ts')
      const flags = [...bed.nodeFlags(role), ...(options.hasZeroMasks ? ['--import', zeroMasks] : [])]
      const words = [...flags, main, JSON.stringify(plan)]
      const child = bed.start(role, process.execPath, words, { stdio: 'pipes' })
      const first = await announced(bed, child, (line) => heard?.(JSON.parse(line)))
      return (JSON.parse(first) as { attachedMs: number }).attachedMs
    },
  }
}

export const native = ours({
  name: 'ours',
  note: 'native links over TCP, plain; acknowledgement and resume on',
})
