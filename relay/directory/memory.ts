/**
 * The directory of a relay that stands alone: it dies with the relay, which is why endpoints
 * attach again before anything is declared gone. Used by relay/server/run.ts and tests.
 */
import type { Clock, Timer } from '../time/clock.ts'
import {
  type Claim,
  type Directory,
  type DirectoryChange,
  DirectoryError,
  type Lease,
  type LeaseKey,
  type NodeRecord,
} from './directory.ts'

export interface MemoryDirectoryOptions {
  readonly clock: Clock
  /**
   * Lowest epoch that a first claim may get, asked at each. Default: the wall clock in ms, so
   * that epochs go on growing when a relay, and with it this directory, starts again.
   */
  readonly firstEpoch?: () => number
  /**
   * How long the generations of an address are remembered after its last change, ms: longer
   * than any token of them is good for. Default 24 h.
   */
  readonly rememberMs?: number
}

/** What is known of one address beside its leases. */
interface AddressMemory {
  /** Generations up to this one are over; -1: none. */
  retiredTo: number
  changedAtMs: number
}

const CLASSES = ['urgent', 'bulk'] as const
const SWEEP_MS = 60_000

export class MemoryDirectory implements Directory {
  readonly #clock: Clock
  readonly #firstEpoch: () => number
  readonly #rememberMs: number
  readonly #leases = new Map<string, { readonly key: LeaseKey; readonly lease: Lease }>()
  readonly #addresses = new Map<string, AddressMemory>()
  readonly #listeners = new Set<(change: DirectoryChange) => void>()
  readonly #nodes = new Map<string, { readonly record: NodeRecord; readonly untilMs: number }>()
  #lastEpoch = 0
  #sweep: Timer
  readonly emptySinceMs: number
  readonly isReachable = true

  constructor(options: MemoryDirectoryOptions) {
    this.#clock = options.clock
    this.#firstEpoch = options.firstEpoch ?? Date.now
    this.#rememberMs = options.rememberMs ?? 24 * 3_600_000
    this.emptySinceMs = options.clock.now()
    this.#sweep = this.#clock.after(SWEEP_MS, this.#forget)
  }

  async claim(key: LeaseKey, claim: Claim, ttlMs: number): Promise<Lease> {
    const memory = this.#memoryOf(key.app, key.address)
    assertNotRetired(key, claim.generation, memory)
    const held = this.#liveLease(key)
    if (held !== undefined && held.generation === claim.generation) {
      if (held.incarnation !== claim.incarnation) {
        throw new DirectoryError('taken', `${nameOf(key)} is held by another process of this generation`)
      }
      if (held.counter >= claim.counter) {
        throw new DirectoryError(
          'superseded',
          `${nameOf(key)} has link ${held.counter}, link ${claim.counter} is older`,
        )
      }
    }
    this.#lastEpoch = Math.max(this.#lastEpoch + 1, this.#firstEpoch())
    const lease: Lease = {
      node: claim.node,
      urls: claim.urls,
      generation: claim.generation,
      incarnation: claim.incarnation,
      counter: claim.counter,
      epoch: this.#lastEpoch,
      expiresAtMs: this.#clock.now() + ttlMs,
    }
    memory.retiredTo = Math.max(memory.retiredTo, claim.generation - 1)
    this.#write(key, lease)
    this.#tell({ is: 'claimed', key, lease })
    return lease
  }

  async renew(key: LeaseKey, lease: Lease, ttlMs: number): Promise<Lease> {
    assertNotRetired(key, lease.generation, this.#memoryOf(key.app, key.address))
    const held = this.#liveLease(key)
    if (held !== undefined && held.epoch > lease.epoch) {
      throw new DirectoryError('superseded', `${nameOf(key)} has epoch ${held.epoch}, not ${lease.epoch}`)
    }
    const renewed: Lease = { ...lease, expiresAtMs: this.#clock.now() + ttlMs }
    this.#lastEpoch = Math.max(this.#lastEpoch, lease.epoch)
    this.#write(key, renewed)
    return renewed
  }

  async release(key: LeaseKey, epoch: number): Promise<boolean> {
    if (this.#liveLease(key)?.epoch !== epoch) return false
    this.#leases.delete(textOf(key))
    this.#tell({ is: 'released', key, epoch })
    return true
  }

  async lookup(key: LeaseKey): Promise<Lease | undefined> {
    return this.#liveLease(key)
  }

  async retire(app: string, address: string, generation: number): Promise<void> {
    const memory = this.#memoryOf(app, address)
    memory.retiredTo = Math.max(memory.retiredTo, generation)
    for (const trafficClass of CLASSES) {
      const key = { app, address, class: trafficClass }
      const held = this.#liveLease(key)
      if (held !== undefined && held.generation <= generation) this.#leases.delete(textOf(key))
    }
    this.#tell({ is: 'retired', app, address, generation })
  }

  async retiredUpTo(app: string, address: string): Promise<number> {
    return this.#addresses.get(`${app} ${address}`)?.retiredTo ?? -1
  }

  announce(record: NodeRecord, ttlMs: number): void {
    this.#nodes.set(record.node, { record, untilMs: this.#clock.now() + ttlMs })
  }

  nodes(): readonly NodeRecord[] {
    const now = this.#clock.now()
    for (const [node, { untilMs }] of this.#nodes) if (untilMs <= now) this.#nodes.delete(node)
    return [...this.#nodes.values()].map(({ record }) => record)
  }

  subscribe(listener: (change: DirectoryChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#sweep.cancel()
    this.#listeners.clear()
  }

  #memoryOf(app: string, address: string): AddressMemory {
    const name = `${app} ${address}`
    let memory = this.#addresses.get(name)
    if (memory === undefined) {
      memory = { retiredTo: -1, changedAtMs: 0 }
      this.#addresses.set(name, memory)
    }
    memory.changedAtMs = this.#clock.now()
    return memory
  }

  #liveLease(key: LeaseKey): Lease | undefined {
    const found = this.#leases.get(textOf(key))?.lease
    return found !== undefined && found.expiresAtMs > this.#clock.now() ? found : undefined
  }

  #write(key: LeaseKey, lease: Lease): void {
    this.#leases.set(textOf(key), { key, lease })
  }

  #tell(change: DirectoryChange): void {
    for (const listener of this.#listeners) listener(change)
  }

  /** Without this, every address that ever was would stay. */
  readonly #forget = (): void => {
    const now = this.#clock.now()
    for (const [name, { lease }] of this.#leases) {
      if (lease.expiresAtMs <= now) this.#leases.delete(name)
    }
    for (const [name, memory] of this.#addresses) {
      if (now - memory.changedAtMs > this.#rememberMs) this.#addresses.delete(name)
    }
    this.#sweep = this.#clock.after(SWEEP_MS, this.#forget)
  }
}

function assertNotRetired(key: LeaseKey, generation: number, memory: AddressMemory): void {
  if (generation <= memory.retiredTo) {
    throw new DirectoryError(
      'retired',
      `${nameOf(key)} generation ${generation} is over, from ${memory.retiredTo + 1} on`,
    )
  }
}

// Neither part holds a space: an application is letters, digits, dots, underscores and hyphens.
function textOf(key: LeaseKey): string {
  return `${key.class} ${key.app} ${key.address}`
}

function nameOf(key: LeaseKey): string {
  return `${key.address} (${key.class})`
}
