/** Random numbers that a seed repeats. Used by test/sim. */

/** mulberry32: 0 up to but not 1. */
export function randomOf(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Draws for schedules. */
export class Dice {
  readonly next: () => number

  constructor(seed: number) {
    this.next = randomOf(seed)
  }
  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }
  chance(probability: number): boolean {
    return this.next() < probability
  }
  pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.next() * all.length)] as T
  }
}
