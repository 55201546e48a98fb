/**
 * Runs one plan and checks what must hold whatever happened: every byte once and in order, or a
 * named reset at both ends; nothing left in any table, budget or buffer. Used by test/sim.
 */
import type { EndpointLimits } from '../../relay/endpoint/index.ts'
import type { Plan, PlanStep } from './plan.ts'
import type { Talker } from './talker.ts'
import { type Conversation, type SimEndpoint, type SimRelay, World } from './world.ts'

/** A tenth of real life, so that a schedule is short. */
const relayLimits = {
  handshakeMs: 500,
  keepaliveMs: 200,
  silenceMs: 600,
  graceMs: 1_500,
  leaseMs: 2_500,
  drainMs: 1_000,
}
const endpointLimits = {
  keepaliveMs: 200,
  silenceMs: 600,
  noRelayMs: 6_000,
  orphanMs: 8_000,
  tombstoneMs: 8_000,
  openTimeoutMs: 7_000,
  handshakeMs: 500,
  goodbyeMs: 1_000,
  minBackoffMs: 5,
  maxBackoffMs: 100,
} satisfies Partial<EndpointLimits>

const relayNames = ['relay-a', 'relay-b']
const addressOf = (index: number): string => `127.64.0.${index + 1}`

interface Slot {
  readonly address: string
  generation: number
  now: SimEndpoint
}

/** Thrown when an invariant does not hold. */
export class PlanFailure extends Error {
  override readonly name = 'PlanFailure'
}

export interface PlanResult {
  readonly events: number
  readonly conversations: number
  readonly closed: number
}

export async function runPlan(plan: Plan, isVerbose = false): Promise<PlanResult> {
  const run = new PlanRun(plan, isVerbose)
  try {
    return await run.run()
  } catch (error) {
    if (isVerbose) console.log(run.world.log.join('\n'))
    throw error
  }
}

class PlanRun {
  readonly plan: Plan
  readonly world: World
  readonly #slots: Slot[] = []
  readonly #limits: Partial<EndpointLimits>
  #isGentle: boolean

  constructor(plan: Plan, isVerbose: boolean) {
    this.plan = plan
    // A stream to oneself counts twice: who may have fewer refuses some of them, and is right.
    this.#isGentle = plan.maxStreams >= 2 * plan.steps.length
    this.world = new World({
      seed: plan.seed,
      wire: { latencyMs: plan.latencyMs, kernelBytes: plan.kernelBytes, readBytes: plan.readBytes },
      relays: relayNames.slice(0, plan.relays),
      relayLimits,
      isVerbose,
      ...(plan.directoryLatencyMs === undefined ? {} : { directoryLatencyMs: plan.directoryLatencyMs }),
    })
    this.#limits = {
      ...endpointLimits,
      floorBytes: plan.floorBytes,
      initialWindowBytes: plan.windowBytes,
      maxWindowBytes: Math.max(plan.windowBytes, 65_536),
      // Fewer than that, and streams are refused.
      receiveBudgetBytes: Math.max(plan.budgetBytes, 2 * plan.floorBytes),
      sendBudgetBytes: plan.budgetBytes,
      ackDelayMs: plan.ackDelayMs,
      maxStreams: plan.maxStreams,
    }
  }

  async run(): Promise<PlanResult> {
    const { plan, world } = this
    for (let i = 0; i < plan.endpoints; i++) {
      this.#slots.push({ address: addressOf(i), generation: 1, now: this.#endpoint(i, 1) })
    }
    world.endpoint({ address: addressOf(0), class: plan.class, app: 'another', limits: this.#limits })
    for (const { afterMs, step } of plan.steps) {
      await world.pass(afterMs)
      if (!isGentle(step)) this.#isGentle = false
      if (isVerboseStep(step)) world.note('plan', step.is, step)
      this.#take(step)
    }
    await this.#heal()
    this.#assertConversations()
    await this.#assertEmptied()
    return {
      events: world.clock.ran,
      conversations: world.conversations.length,
      closed: world.conversations.filter((c) => c.opener.ending?.is === 'closed').length,
    }
  }

  #endpoint(index: number, generation: number): SimEndpoint {
    return this.world.endpoint({
      address: addressOf(index),
      class: this.plan.class,
      generation,
      role: 'driver',
      limits: this.#limits,
    })
  }

  #slot(index: number): Slot {
    return this.#slots[index % this.#slots.length] as Slot
  }
  #relay(index: number): SimRelay {
    return [...this.world.relays.values()][index % this.world.relays.size] as SimRelay
  }

  #take(step: PlanStep): void {
    const { world } = this
    switch (step.is) {
      case 'talk': {
        const from = this.#slot(step.from)
        const to = step.to === 9 ? '127.64.9.9' : this.#slot(step.to).address
        if (from.now.party.isDead) return
        world.talk(from.now, to, step.opens, step.isRefused ? 'refuses' : step.accepts)
        return
      }
      case 'cut':
        for (const { near } of this.#slot(step.who).now.connections) {
          if (step.afterBytes === 0) near.cut()
          else near.after(step.afterBytes, () => near.cut())
        }
        return
      case 'half-open':
        for (const { near, far } of this.#slot(step.who).now.connections) {
          if (step.knows === 'endpoint') near.cutHere(step.laterMs)
          else far.cutHere(step.laterMs)
        }
        return
      case 'lag':
        for (const { near } of this.#slot(step.who).now.connections) {
          near.lag(step.ms)
          if (step.vanishes) world.clock.after(20, () => near.vanish())
        }
        return
      case 'silence':
        for (const { near } of this.#slot(step.who).now.connections) near.silence()
        return
      case 'stop':
        this.#slot(step.who).now.party.stopFor(step.ms)
        return
      case 'stop-relay':
        this.#relay(step.relay).party.stopFor(step.ms)
        return
      case 'restart-relay': {
        const relay = this.#relay(step.relay)
        if (!relay.isUp) return
        relay.kill()
        world.clock.after(step.downMs, () => relay.isUp || relay.start())
        return
      }
      case 'deaf-relay': {
        const relay = this.#relay(step.relay)
        relay.isSilent = true
        world.clock.after(step.ms, () => {
          relay.isSilent = false
        })
        return
      }
      case 'drain-relay': {
        const relay = this.#relay(step.relay)
        if (!relay.isUp) return
        relay.drain(step.downMs)
        return
      }
      case 'directory-outage':
        world.directoryOutage.untilMs = Math.max(world.directoryOutage.untilMs, world.clock.now() + step.ms)
        return
      case 'crash':
        this.#slot(step.who).now.crash(step.how)
        return
      case 'rebirth': {
        const slot = this.#slot(step.who)
        // A machine never runs two processes of one generation on purpose; two generations it may.
        if (!step.higherGeneration && !slot.now.party.isDead) slot.now.crash()
        if (step.higherGeneration) slot.generation += 1
        slot.now = this.#endpoint(this.#slots.indexOf(slot), slot.generation)
        return
      }
      case 'close':
        this.#slot(step.who).now.close()
        return
      case 'retire': {
        const target = this.#slot(step.who)
        const by = this.#slot(step.by)
        if (by !== target && !by.now.party.isDead) by.now.endpoint.retire(target.address, target.generation)
        return
      }
      case 'reset': {
        const talk = world.conversations[step.talk % Math.max(1, world.conversations.length)]
        if (talk === undefined) return
        if (step.side === 'opener') talk.opener.reset_('aborted')
        else talk.acceptors.at(-1)?.talker.reset_('aborted')
        return
      }
    }
  }

  /** All faults are over: now everything must come to its end by itself. */
  async #heal(): Promise<void> {
    const { world } = this
    for (const relay of world.relays.values()) {
      relay.isSilent = false
    }
    const awake = [...world.parties].map((party) => party.stoppedUntilMs)
    const over = Math.max(world.directoryOutage.untilMs, ...awake)
    await world.pass(Math.max(0, over - world.clock.now()))
    await world.until(() => [...world.relays.values()].every((relay) => relay.isUp), 20_000)
    for (const { opener, acceptors } of world.conversations) {
      opener.finish()
      for (const { talker } of acceptors) talker.finish()
    }
    const open = new Set<Talker>()
    const look = (): boolean => {
      for (const talker of open) if (talker.ending !== undefined || talker.party.isDead) open.delete(talker)
      return open.size === 0
    }
    for (let round = 0; round < 3; round++) {
      for (const { opener, acceptors } of world.conversations) {
        open.add(opener)
        for (const { talker } of acceptors) {
          open.add(talker)
          talker.finish()
        }
      }
      await world.until(look, 60_000)
    }
    if (open.size > 0) {
      const [first] = open
      this.#fail(`hangs: ${first?.name}, ${first?.describe()}`)
    }
  }

  #assertConversations(): void {
    for (const conversation of this.world.conversations) this.#assertConversation(conversation)
    for (const relay of this.world.relays.values()) if (relay.isUp) this.world.countCloses(relay)
    const [fault] = this.world.faults
    if (fault !== undefined) this.#fail(fault)
    for (const { endpoint, party } of this.world.endpoints)
      if (endpoint.figures().resets.violation !== undefined) this.#fail(`${party.name} saw a violation`)
    this.#assertQueues()
  }

  /** What a relay holds for a link is bounded by the credit that is out over it. */
  #assertQueues(): void {
    const { floorBytes, budgetBytes } = this.plan
    const streams = 2 * this.world.conversations.length
    const credit = Math.max(budgetBytes, 2 * floorBytes) + streams * floorBytes
    // A frame that is split again and again may be a third header; control frames come on top.
    const bound = 2 * credit + 65_536
    for (const { far } of this.world.connections)
      if (far.mostQueuedBytes > bound)
        this.#fail(`${far.name} had ${far.mostQueuedBytes} bytes queued of ${bound}`)
  }

  #assertConversation({ name, opener, acceptors, openerHost }: Conversation): void {
    if (opener.fault !== undefined) this.#fail(opener.fault)
    for (const { talker } of acceptors) if (talker.fault !== undefined) this.#fail(talker.fault)
    // Of two processes with one address, the one that was replaced may have accepted, too.
    const closed = acceptors.filter(({ talker }) => talker.ending?.is === 'closed')
    if (closed.length > 1) this.#fail(`${name} closed at ${closed.length} acceptors`)
    const acceptor = (closed[0] ?? acceptors.at(-1))?.talker
    if (opener.ending?.is === 'closed') {
      if (acceptor === undefined) return this.#fail(`${name} closed, nobody had accepted it`)
      if (acceptor.read !== opener.written)
        this.#fail(`${name} closed, acceptor read ${acceptor.read} of ${opener.written}`)
      if (opener.read !== acceptor.written)
        this.#fail(`${name} closed, opener read ${opener.read} of ${acceptor.written}`)
    }
    if (acceptor?.ending?.is === 'closed') {
      if (acceptor.read !== opener.written)
        this.#fail(`${name} closed at the acceptor, it read ${acceptor.read} of ${opener.written}`)
      if (opener.read !== acceptor.written)
        this.#fail(`${name} closed at the acceptor, opener read ${opener.read} of ${acceptor.written}`)
    }
    if (!this.#isGentle) return
    if (opener.ending?.is !== 'closed')
      this.#fail(`${name} was ${JSON.stringify(opener.ending)} at ${opener.endedAtMs}`)
    if (acceptor?.ending?.is !== 'closed')
      this.#fail(`${name} was ${JSON.stringify(acceptor?.ending)} at the acceptor`)
    if (openerHost.failure !== undefined) this.#fail(`${name}: ${openerHost.failure.message}`)
  }

  async #assertEmptied(): Promise<void> {
    const { world } = this
    // What is under way arrives, and whoever never answered is given up.
    if (this.plan.seed % 16 === 0) await world.pass(20_000)
    else await world.until(() => this.#isQuiet(), 20_000)
    for (const { endpoint, party } of world.endpoints) {
      if (party.isDead) continue
      const { openStreams, creditOutBytes, unackedBytes, tombstones } = endpoint.figures()
      if (openStreams + creditOutBytes + unackedBytes + endpoint.keepingStreams !== 0) {
        this.#fail(
          `${party.name} keeps ${JSON.stringify({ openStreams, creditOutBytes, unackedBytes, keeping: endpoint.keepingStreams })}`,
        )
      }
      if (this.plan.seed % 16 === 0 && tombstones > 0 && endpoint.state !== 'over')
        this.#fail(`${party.name} keeps ${tombstones} tombstones`)
    }
    for (const relay of world.relays.values()) {
      const { labels, parked } = relay.node.tableSizes
      if (labels + parked + sum(relay.metrics.routes) + relay.metrics.parkedOpens !== 0) {
        this.#fail(
          `${relay.url} keeps ${labels} labels, ${sum(relay.metrics.routes)} routes, ${parked} parked`,
        )
      }
    }
    for (const each of world.endpoints) if (!each.party.isDead) each.close()
    await world.pass(5_000)
    for (const relay of world.relays.values()) {
      const { links, residences } = relay.node.tableSizes
      if (links + residences !== 0) this.#fail(`${relay.url} keeps ${links} links, ${residences} residences`)
      if (relay.party.slabsOut !== 0) this.#fail(`${relay.url} keeps ${relay.party.slabsOut} buffers`)
      const gauges = [relay.metrics.links.urgent, relay.metrics.links.bulk].flatMap((g) => Object.values(g))
      if (gauges.some((gauge) => gauge !== 0)) this.#fail(`${relay.url} counts links ${gauges.join(' ')}`)
    }
    for (const { party } of world.endpoints) {
      if (!party.isDead && party.slabsOut !== 0) this.#fail(`${party.name} keeps ${party.slabsOut} buffers`)
    }
    const [fault] = world.faults
    if (fault !== undefined) this.#fail(fault)
  }

  #isQuiet(): boolean {
    const { world } = this
    for (const { endpoint, party } of world.endpoints)
      if (!party.isDead && endpoint.figures().openStreams > 0) return false
    for (const { node } of world.relays.values()) if (node.tableSizes.labels > 0) return false
    return true
  }

  #fail(what: string): void {
    throw new PlanFailure(what)
  }
}

function sum(figures: Record<string, number>): number {
  return Object.values(figures).reduce((a, b) => a + b, 0)
}

function isVerboseStep(step: PlanStep): boolean {
  return step.is !== undefined
}

/** Nothing of this may cost a stream. */
function isGentle(step: PlanStep): boolean {
  switch (step.is) {
    case 'talk':
      return (
        step.to !== 9 &&
        !step.isRefused &&
        step.opens.resetAt === undefined &&
        step.accepts.resetAt === undefined
      )
    case 'cut':
    case 'half-open':
    case 'silence':
    case 'lag':
      return true
    case 'stop':
      return step.ms <= 300
    case 'stop-relay':
      return step.ms <= 400
    case 'restart-relay':
      return step.downMs <= 1_500
    case 'drain-relay':
      return true
    default:
      return false
  }
}
