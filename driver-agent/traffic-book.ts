/**
 * Bytes between addresses, as both ends have told them: a killed executor's last report is
 * missing, so the larger of two figures counts. Each pair is known as long as there are few
 * addresses. An application that starts thousands of executors in its life has millions of
 * pairs: then only sums are kept. Pure bookkeeping. Used by ledger.ts.
 */
import type { PeerBytes } from '../relay/loopback/index.ts'

/** Bytes from row to column; `names` and `bytes` have the same order. */
export interface Matrix {
  readonly names: readonly string[]
  readonly bytes: readonly (readonly number[])[]
}

export interface RelayedBytes {
  readonly all: number
  /** Shuffle, broadcast pieces, cached blocks. */
  readonly betweenExecutors: number
}

/** A member of the matrix. */
export interface Member {
  readonly name: string
  readonly address: string
}

/** The driver and 255 executors: a matrix of 64 Ki figures. */
export const MOST_PAIRED = 256

/** What one address has told. */
interface Told {
  /** To and from others than the driver; of the driver: to and from executors. */
  sentBytes: number
  receivedBytes: number
  toDriverBytes: number
  fromDriverBytes: number
  peers: readonly PeerBytes[]
}

export class TrafficBook {
  readonly #driverAddress: string
  /** Never shrinks. */
  readonly #told = new Map<string, Told>()

  constructor(driverAddress: string) {
    this.#driverAddress = driverAddress
  }

  /** `address` has moved so much in all with each of its peers. Figures only grow. */
  note(address: string, peers: readonly PeerBytes[]): void {
    const told: Told = { sentBytes: 0, receivedBytes: 0, toDriverBytes: 0, fromDriverBytes: 0, peers: [] }
    for (const { peer, sentBytes, receivedBytes } of peers) {
      if (peer === address) continue
      if (peer === this.#driverAddress) {
        told.toDriverBytes += sentBytes
        told.fromDriverBytes += receivedBytes
      } else {
        told.sentBytes += sentBytes
        told.receivedBytes += receivedBytes
      }
    }
    const knewPairs = this.#knowsPairs
    this.#told.set(address, told)
    if (this.#knowsPairs) told.peers = peers
    else if (knewPairs) for (const each of this.#told.values()) each.peers = []
  }

  /** What crossed the relay, as far as it was told; where only sums are kept, a little less. */
  relayed(members: readonly Member[]): RelayedBytes {
    const bytes = this.matrix(members)?.bytes
    if (bytes !== undefined) {
      const isExecutor = (_: unknown, at: number): boolean => members[at]?.address !== this.#driverAddress
      const between = bytes.filter(isExecutor).map((row) => row.filter(isExecutor))
      return { all: sum(bytes.map(sum)), betweenExecutors: sum(between.map(sum)) }
    }
    const sums = { sent: 0, received: 0, toDriver: 0, fromDriver: 0 }
    for (const [address, told] of this.#told) {
      if (address === this.#driverAddress) continue
      sums.sent += told.sentBytes
      sums.received += told.receivedBytes
      sums.toDriver += told.toDriverBytes
      sums.fromDriver += told.fromDriverBytes
    }
    const driver = this.#told.get(this.#driverAddress)
    const betweenExecutors = Math.max(sums.sent, sums.received)
    const toDriver = Math.max(sums.toDriver, driver?.receivedBytes ?? 0)
    const fromDriver = Math.max(sums.fromDriver, driver?.sentBytes ?? 0)
    return { all: betweenExecutors + toDriver + fromDriver, betweenExecutors }
  }

  /** Who sent how much to whom; undefined when there are too many for that. */
  matrix(members: readonly Member[]): Matrix | undefined {
    if (!this.#knowsPairs || members.length > MOST_PAIRED) return undefined
    const index = new Map(members.map(({ address }, at) => [address, at]))
    const bytes = members.map(() => members.map(() => 0))
    const raise = (from: number, to: number, count: number): void => {
      const row = bytes[from]
      if (row !== undefined) row[to] = Math.max(row[to] ?? 0, count)
    }
    members.forEach(({ address }, at) => {
      for (const { peer, sentBytes, receivedBytes } of this.#told.get(address)?.peers ?? []) {
        const other = index.get(peer)
        if (other === undefined || other === at) continue
        raise(at, other, sentBytes)
        raise(other, at, receivedBytes)
      }
    })
    return { names: members.map(({ name }) => name), bytes }
  }

  get #knowsPairs(): boolean {
    return this.#told.size <= MOST_PAIRED
  }
}

function sum(figures: readonly number[]): number {
  return figures.reduce((all, one) => all + one, 0)
}
