/**
 * The handshake at a relay: looks at the token, sends an endpoint to a better home, claims its
 * lease, and lets it in. Nothing is kept for a link before its token was found good. Used by node.ts.
 */
import { DirectoryError, type Lease } from '../directory/directory.ts'
import { Pulse, pulsePeriod } from '../time/pulse.ts'
import { Rounds } from '../time/rounds.ts'
import { decodeHello, encodeMoved, encodeWelcome, type Hello, type TrafficClass } from '../wire/control.ts'
import { RelayError } from '../wire/errors.ts'
import { VERSION_MAX, VERSION_MIN } from '../wire/header.ts'
import { askToGo, LEAVING, type LeaseKeeper } from './lease-keeper.ts'
import type { PlacementReason } from './metrics.ts'
import { asRelayError, type NodeContext } from './node-context.ts'
import type { Placement } from './placement.ts'
import type { Attached, RelayLink } from './relay-link.ts'
import type { Residents } from './residents.ts'
import type { Retirements } from './retirements.ts'

/**
 * Relays see at different moments that a directory is back: for this part of a lease nobody is taken away
 * from a home that still serves it. Much less than the half that a relay which is cut off leaves them.
 */
const SETTLING_PART = 1 / 5
/** Links are looked at in so many groups a period: with 16,000 links and 1 s, 250 of them each 16 ms. */
const PULSE_SLOTS = 64

export class Admission {
  readonly #context: NodeContext
  readonly #residents: Residents
  readonly #leases: LeaseKeeper
  readonly #placement: Placement
  readonly #retirements: Retirements
  /** For the pulses of all links. */
  readonly #rounds: Rounds
  /** Endpoints that stay here, while the directory is asked for their leases: load that is coming. */
  #admitting = 0

  constructor(
    context: NodeContext,
    residents: Residents,
    leases: LeaseKeeper,
    placement: Placement,
    retirements: Retirements,
  ) {
    this.#context = context
    this.#residents = residents
    this.#leases = leases
    this.#placement = placement
    this.#retirements = retirements
    const { keepaliveMs, silenceMs } = context.limits
    this.#rounds = new Rounds(context.clock, pulsePeriod(keepaliveMs, silenceMs), PULSE_SLOTS)
  }

  handleHello(link: RelayLink, payload: Buffer): void {
    const hello = decodeHello(payload)
    const version = Math.min(VERSION_MAX, hello.versions[1])
    if (version < Math.max(VERSION_MIN, hello.versions[0])) {
      throw new RelayError(
        'version',
        `speaks ${VERSION_MIN} to ${VERSION_MAX}, was offered ${hello.versions.join(' to ')}`,
      )
    }
    this.#admit(link, hello, version).catch((cause: unknown) => {
      link.close(asRelayError(cause))
      if (cause instanceof DirectoryError) {
        if (cause.code === 'unavailable') this.#context.metrics.directoryFailures += 1
      } else if (!(cause instanceof RelayError)) this.#context.reportFault(cause)
    })
  }

  async #admit(link: RelayLink, hello: Hello, version: number): Promise<void> {
    const identity = await this.#context.verify(hello.token, hello)
    // Field by field: a spread of another object makes one that takes more memory, for as long as the link lives.
    const who: Attached = {
      app: identity.app,
      address: identity.address,
      generation: identity.generation,
      role: identity.role,
      class: hello.class,
      mode: hello.mode,
      incarnation: hello.incarnation,
      counter: hello.counter,
    }
    if (link.state.is !== 'verifying') return
    const settlingMs = this.#context.limits.leaseMs * SETTLING_PART
    if (hello.hasHome === true && this.#context.clock.now() - this.#context.returnedMs < settlingMs) {
      this.#context.metrics.directoryFailures += 1
      throw new RelayError('internal', 'the directory is just back: stay for now')
    }
    const isPlaced = hello.placed === true
    const isReturning = hello.hasHome !== true && this.#isReturning(who)
    const hasTriedElsewhere = isReturning && isPlaced
    if (hello.mode === 'attach' && !hasTriedElsewhere && this.#place(link, who, isPlaced)) return
    if (this.#context.state !== 'serving' && !isReturning)
      throw new RelayError('draining', 'this relay is leaving')
    if (this.#isFull) {
      // How full it is, is of others; the log has it.
      const cause = new Error(`over ${this.#context.limits.maxLinks} links (--max-links)`)
      throw new RelayError('overloaded', 'this relay takes no more links now', { cause })
    }
    let lease: Lease | undefined
    if (hello.mode === 'attach') {
      const known = this.#residents.get(who.app, who.address, who.class)
      if (known?.takeAttach(this.#context.clock.now()) === false)
        throw new RelayError('overloaded', `${who.address} attaches too often`)
      this.#admitting += 1
      const claiming = this.#context.directory.claim(
        { app: who.app, address: who.address, class: who.class },
        {
          node: this.#context.node,
          urls: this.#context.urls,
          generation: who.generation,
          incarnation: who.incarnation,
          counter: who.counter,
        },
        this.#context.limits.leaseMs,
      )
      lease = await claiming.finally(() => {
        this.#admitting -= 1
      })
    }
    const isSuperseded = lease !== undefined && this.#isSuperseded(lease, who)
    if (link.state.is !== 'verifying') {
      // It left while the directory was asked, and comes again: those who look for it are to wait.
      if (lease !== undefined && !isSuperseded) this.#residents.hold(who, lease)
      return
    }
    if (isSuperseded) throw new RelayError('superseded', `${who.address} has a newer link`)
    if (this.#retirements.covers(who.app, who.address, who.generation))
      throw new RelayError('retired', `generation ${who.generation} of ${who.address} was retired`)
    link.state.timer.cancel()
    const { keepaliveMs, silenceMs, graceMs, linkQueueBytes, maxStreams } = this.#context.limits
    link.becomeUp(who, new Pulse(this.#context.clock, this.#rounds, keepaliveMs, silenceMs, link))
    link.pipe.established?.(who.class)
    this.#context.metrics.handshakes[who.class] += 1
    this.#context.metrics.links[who.class][who.mode === 'attach' ? 'attached' : 'visiting'] += 1
    if (who.mode === 'visit') this.#context.visitors.add(link, who)
    link.send(
      encodeWelcome({
        version,
        node: this.#context.node,
        maxQueuedBytes: linkQueueBytes,
        maxStreams,
        keepaliveMs,
        silenceMs,
        graceMs,
      }),
    )
    if (lease === undefined) this.#checkVisitor(link, who)
    else this.#residents.settle(link, who, lease)
    // Also when it began to leave while the directory was asked: others were told then, this link was not up.
    if (this.#context.state === 'draining')
      askToGo(this.#context.metrics, link, 'draining', this.#context.drainLeftMs, LEAVING)
  }

  /**
   * Whoever attaches was checked by the claim. A visitor is let in by what this relay has heard, and hints
   * may be lost: the directory has the last word. Where it cannot be asked, nobody is put out.
   */
  #checkVisitor(link: RelayLink, { app, address, generation }: Attached): void {
    this.#context.directory.retiredUpTo(app, address).then(
      (retired) => {
        if (generation > retired) return
        link.close(new RelayError('retired', `generation ${generation} of ${address} was retired`))
      },
      () => {
        this.#context.metrics.directoryFailures += 1
      },
    )
  }

  /**
   * One that is still at home here, and lost its link while this relay is leaving. It has tried elsewhere
   * and was not taken, or there is no elsewhere: refused here too, it would be given up though it
   * lives. So it comes back, and moves when another relay takes it. (One that still has its link
   * says `hasHome`, and stays with that.)
   */
  #isReturning(who: Attached): boolean {
    if (this.#context.state !== 'draining' || who.mode !== 'attach') return false
    const state = this.#residents.get(who.app, who.address, who.class)?.state
    return state?.lease?.node === this.#context.node && state.lease.generation === who.generation
  }

  /** Sends an endpoint that wants to attach to a relay that is better for it. False: it stays. */
  #place(link: RelayLink, who: Attached, isPlaced: boolean): boolean {
    const why = this.#whyElsewhere(who.class)
    if (isPlaced && (why === 'load' || why === 'class')) return false
    const own = {
      links: this.#context.attachedLinks + this.#admitting,
      bytesPerSecond: this.#leases.bytesPerSecond,
      takes: why === 'load',
    }
    const other = this.#placement.choose(who.class, own, this.#context.directory.nodes())
    if (other === undefined) return false
    this.#context.metrics.placements[why] += 1
    const { node, urls } = other
    link.leaveBy(encodeMoved({ to: who.address, node, urls, epoch: 0, labels: [] }))
    return true
  }

  #whyElsewhere(trafficClass: TrafficClass): PlacementReason {
    if (this.#context.state !== 'serving') return 'draining'
    if (this.#isFull) return 'full'
    return this.#context.classes.includes(trafficClass) ? 'load' : 'class'
  }

  /** Those whose lease is being asked for are counted: a burst of them would all find room. */
  get #isFull(): boolean {
    return this.#context.upLinks + this.#admitting >= this.#context.limits.maxLinks
  }

  /** Two claims of one address were under way, and the newer was answered first. */
  #isSuperseded(lease: Lease, { app, address, class: trafficClass }: Attached): boolean {
    const known = this.#residents.get(app, address, trafficClass)?.state.lease
    return known !== undefined && known.epoch > lease.epoch
  }
}
