/** The test's face of one party (party-main.ts): tells it what to do and keeps what it says. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { StreamReport } from './checked-stream.ts'
import type { FromParty, PartyReport, PartySetup, ToParty, TrafficClass, Weight } from './party-messages.ts'

const main = fileURLToPath(new URL('./party-main.ts', import.meta.url))
/**
 * The space for new objects as small as that of our thread for bulk streams: left alone, V8 lets it, and the
 * buffers that wait in it to be collected, grow by 80 MiB in a quarter of an hour, which would hide a leak.
 */
const nodeFlags = ['--max-semi-space-size=1', '--expose-gc']

export interface Event {
  readonly atMs: number
  readonly what: FromParty
}

export class Party {
  readonly address: string
  readonly events: Event[] = []
  readonly #child: ChildProcess
  readonly #wakes = new Set<() => void>()
  #isEnded = false

  private constructor(address: string, child: ChildProcess) {
    this.address = address
    this.#child = child
    child.on('message', (what: FromParty) => {
      this.events.push({ atMs: performance.now(), what })
      this.#wake()
    })
    child.once('exit', () => {
      this.#isEnded = true
      this.#wake()
    })
  }

  /** `under`: words before node, which must become it by exec. Settles when it takes orders. */
  static async spawn(address: string, under: readonly string[] = []): Promise<Party> {
    const [program = '', ...args] = [...under, process.execPath, ...nodeFlags, main]
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const party = new Party(address, child)
    await party.until('it is ready', () => party.events.some(({ what }) => what.is === 'ready'))
    return party
  }

  get pid(): number {
    return this.#child.pid as number
  }
  get isEnded(): boolean {
    return this.#isEnded
  }

  start(setup: PartySetup): void {
    this.tell({ do: 'start', setup })
  }

  tell(message: ToParty): void {
    if (!this.#isEnded && this.#child.connected) this.#child.send(message)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Rejects after `withinMs`, and when it has ended. */
  async until(what: string, isSo: () => boolean, withinMs = 30_000): Promise<void> {
    if (isSo()) return
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error): void => {
        clearTimeout(timer)
        this.#wakes.delete(look)
        if (error === undefined) resolve()
        else reject(error)
      }
      const look = (): void => {
        if (isSo()) done()
        else if (this.#isEnded) done(new Error(`${this.address} ended before ${what}`))
      }
      const timer = setTimeout(
        () => done(new Error(`${this.address}: not within ${withinMs} ms: ${what}${this.#lately()}`)),
        withinMs,
      )
      this.#wakes.add(look)
      look()
    })
  }

  count(is: FromParty['is'], trafficClass?: TrafficClass): number {
    return this.events.filter(
      ({ what }) =>
        what.is === is && (trafficClass === undefined || ('class' in what && what.class === trafficClass)),
    ).length
  }

  async attached(withinMs = 30_000): Promise<void> {
    await this.until(
      'both its classes are attached',
      () => this.count('attached', 'urgent') > 0 && this.count('attached', 'bulk') > 0,
      withinMs,
    )
  }

  /** Node id of the home of a class, as last told. */
  homeOf(trafficClass: TrafficClass): string | undefined {
    const last = this.events.findLast(({ what }) => what.is === 'attached' && what.class === trafficClass)
    return last?.what.is === 'attached' ? last.what.url : undefined
  }

  async report(withinMs = 30_000): Promise<PartyReport> {
    const before = this.count('report')
    this.tell({ do: 'report' })
    await this.until('it reports', () => this.count('report') > before, withinMs)
    return this.events.findLast(({ what }) => what.is === 'report')?.what as PartyReport
  }

  async weigh(): Promise<Weight> {
    const before = this.count('weight')
    this.tell({ do: 'weigh' })
    await this.until('it weighs itself', () => this.count('weight') > before)
    return this.events.findLast(({ what }) => what.is === 'weight')?.what as Weight
  }

  /** Finishes its streams; settles with what became of them. */
  async quiet(withinMs = 60_000): Promise<readonly StreamReport[]> {
    try {
      await this.until('its streams are over', () => this.count('quiet') > 0, withinMs)
    } catch (cause) {
      const { streams } = await this.report()
      const open = streams.filter(({ state }) => state === 'open' || state === 'opening')
      throw new Error(`${(cause as Error).message}; still open: ${JSON.stringify(open.slice(0, 4))}`, {
        cause,
      })
    }
    return (await this.report()).streams
  }

  async end(): Promise<void> {
    if (this.#isEnded) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGCONT')
    this.#child.kill('SIGKILL')
    await gone
  }

  #wake(): void {
    for (const look of [...this.#wakes]) look()
  }

  #lately(): string {
    const last = this.events.filter(({ what }) => what.is !== 'report' && what.is !== 'over').slice(-6)
    return `; lately: ${JSON.stringify(last)}`
  }
}
