/**
 * A process with one address: what a shim is to the relays, with checked streams in place of a
 * JVM. Started by party.ts, ends when its channel does.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { Endpoint, type PipeDialer } from '../../relay/endpoint/index.ts'
import { createPipeDialer } from '../../relay/pipe/dial.ts'
import { SocketPipe } from '../../relay/pipe/socket-pipe.ts'
import { systemClock } from '../../relay/time/clock.ts'
import { CheckedStream } from './checked-stream.ts'
import type { FromParty, PartyReport, PartySetup, ToParty, TrafficClass } from './party-messages.ts'

/** Whoever started us may be gone already: then 'disconnect' ends us, and there is nobody to tell. */
const tell = (message: FromParty): void => void process.send?.(message, undefined, undefined, () => {})

class Party {
  readonly #setup: PartySetup
  readonly #endpoints: Record<TrafficClass, Endpoint>
  readonly #streams: CheckedStream[] = []
  readonly #homes: Partial<Record<TrafficClass, { url: string; localPort: number }>> = {}
  readonly #ports = new Map<string, number>()
  #isFrozen = false
  #isFinishing = false
  #left = 0

  constructor(setup: PartySetup) {
    this.#setup = setup
    const incarnation = randomBytes(8).toString('hex')
    this.#endpoints = {
      urgent: this.#endpoint('urgent', incarnation),
      bulk: this.#endpoint('bulk', incarnation),
    }
    setInterval(() => {
      for (const stream of this.#streams) stream.turn()
    }, setup.tickMs)
    for (const endpoint of Object.values(this.#endpoints)) endpoint.start()
  }

  #endpoint(trafficClass: TrafficClass, incarnation: string): Endpoint {
    const { address, token, relays, limits, chunkBytes } = this.#setup
    const dialer = createPipeDialer()
    const noting: PipeDialer = {
      dial: async (url, signal) => {
        const pipe = await dialer.dial(url, signal)
        if (pipe instanceof SocketPipe) this.#ports.set(`${trafficClass} ${url}`, pipe.socket.localPort ?? 0)
        return pipe
      },
    }
    return new Endpoint({
      class: trafficClass,
      address,
      token: () => token,
      incarnation,
      relays,
      limits,
      dialer: noting,
      clock: systemClock,
      random: Math.random,
      events: {
        incoming: (incoming) => {
          const stream = this.#add(undefined, chunkBytes[trafficClass])
          stream.handle = incoming.accept(stream)
          stream.opened()
        },
        attached: ({ url, node }) => {
          this.#homes[trafficClass] = {
            url,
            localPort: this.#ports.get(`${trafficClass} ${url}`) ?? 0,
          }
          tell({ is: 'attached', class: trafficClass, url, node })
        },
        detached: (reason) => tell({ is: 'detached', class: trafficClass, reason }),
        failed: (error) => tell({ is: 'failed', class: trafficClass, sentence: error.message }),
      },
    })
  }

  #add(tag: number | undefined, chunkBytes: number): CheckedStream {
    const stream = new CheckedStream(tag, { chunkBytes }, (over) => {
      const { tag: known, state, peer } = over.report()
      tell({ is: 'over', tag: known, state, peer })
      this.#left -= 1
      if (this.#isFinishing && this.#left === 0) tell({ is: 'quiet' })
    })
    stream.isFrozen = this.#isFrozen
    this.#left += 1
    this.#streams.push(stream)
    if (this.#isFinishing) stream.finish()
    return stream
  }

  handle(message: ToParty): void {
    switch (message.do) {
      case 'open':
        for (const tag of message.tags) {
          const stream = this.#add(tag, this.#setup.chunkBytes[message.class])
          stream.handle = this.#endpoints[message.class].open(message.to, 7, stream)
        }
        return
      case 'mark':
        for (const stream of this.#streams) stream.mark()
        return
      case 'report':
        return tell(this.#report())
      case 'weigh':
        return void weigh()
      case 'freeze':
      case 'thaw':
        this.#isFrozen = message.do === 'freeze'
        for (const stream of this.#streams) {
          if (this.#isFrozen) stream.isFrozen = true
          else stream.thaw()
        }
        return
      case 'finish':
        this.#isFinishing = true
        for (const stream of this.#streams) stream.finish()
        if (this.#left === 0) tell({ is: 'quiet' })
        return
      case 'retire':
        this.#endpoints.urgent.retire(message.address, message.generation)
        return
      case 'close':
        void Promise.all(Object.values(this.#endpoints).map((one) => one.close())).then(() =>
          tell({ is: 'closed' }),
        )
    }
  }

  #report(): PartyReport {
    const figures = Object.values(this.#endpoints).map((one) => one.figures())
    const sum = (pick: (one: (typeof figures)[number]) => number): number =>
      figures.reduce((all, one) => all + pick(one), 0)
    return {
      is: 'report',
      streams: this.#streams.map((stream) => stream.report()),
      openStreams: sum((one) => one.openStreams),
      resumes: sum((one) => one.resumes),
      replayedBytes: sum((one) => one.replayedBytes),
      rssBytes: process.memoryUsage().rss,
      homes: this.#homes,
    }
  }
}

async function weigh(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await wait(50) // what was released in between
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  tell({ is: 'weight', heapBytes: heapUsed, externalBytes: external, rssBytes: rss })
}

let party: Party | undefined
process.on('message', (message: ToParty) => {
  if (message.do === 'start') party = new Party(message.setup)
  else party?.handle(message)
})
process.on('disconnect', () => process.exit(0))
tell({ is: 'ready' })
