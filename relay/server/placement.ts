/**
 * Where a new endpoint should be at home: the better of two random relays, as they told of
 * themselves through the directory. Two choices instead of the best of all, so that a thousand
 * functions that come at once do not all run to the same one. Pure; used by admission.ts.
 */
import type { NodeRecord } from '../directory/directory.ts'
import type { TrafficClass } from '../wire/control.ts'

/** What this relay has on its shoulders now. */
export interface OwnLoad {
  readonly links: number
  readonly bytesPerSecond: number
  /** Whether it wants to be home for this class at all. */
  readonly takes: boolean
}

/** Payload that weighs as much as one attached link, bytes a second: an idle link costs next to nothing. */
const BYTES_OF_A_LINK = 4 * 1024 * 1024
/** Being sent on costs a handshake: worth it only if the other has clearly more room. */
const WORTH_RATIO = 1.1
const WORTH_LINKS = 1

export class Placement {
  readonly #node: string
  readonly #random: () => number
  /** Endpoints sent to a relay whose record does not show them yet: in this second, and in the one before. */
  #sent = new Map<string, number>()
  #sentBefore = new Map<string, number>()

  /** `random`: 0 to 1. */
  constructor(node: string, random: () => number) {
    this.#node = node
    this.#random = random
  }

  /** Once a second, as often as records are told: what was sent before shows in them by now. */
  tick(): void {
    this.#sentBefore = this.#sent
    this.#sent = new Map()
  }

  /** The relay to send a new endpoint to; undefined: it is well placed here. */
  choose(trafficClass: TrafficClass, own: OwnLoad, records: readonly NodeRecord[]): NodeRecord | undefined {
    const others = records.filter(
      (record) =>
        record.node !== this.#node &&
        !record.isLeaving &&
        record.urls.length > 0 &&
        record.classes.includes(trafficClass),
    )
    const better = this.#betterOfTwo(others)
    if (better === undefined) return undefined
    if (own.takes && loadOf(own) <= this.#load(better) * WORTH_RATIO + WORTH_LINKS) return undefined
    this.#sent.set(better.node, (this.#sent.get(better.node) ?? 0) + 1)
    return better
  }

  #betterOfTwo(others: readonly NodeRecord[]): NodeRecord | undefined {
    const at = Math.floor(this.#random() * others.length)
    const one = others[at]
    if (one === undefined || others.length === 1) return one
    const other = others[(at + 1 + Math.floor(this.#random() * (others.length - 1))) % others.length]
    return other !== undefined && this.#load(other) < this.#load(one) ? other : one
  }

  #load(record: NodeRecord): number {
    return loadOf(record) + (this.#sent.get(record.node) ?? 0) + (this.#sentBefore.get(record.node) ?? 0)
  }
}

function loadOf(load: { readonly links: number; readonly bytesPerSecond: number }): number {
  return load.links + load.bytesPerSecond / BYTES_OF_A_LINK
}
