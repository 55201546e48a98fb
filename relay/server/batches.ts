/** Lists cut to what one frame may hold, and sorted by where they go. Pure; used by the parts of a node. */
import { MAX_BATCH } from '../wire/control.ts'

/** The values of each key, in their order. */
export function groupBy<K, V>(all: readonly V[], key: (value: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>()
  for (const value of all) {
    const group = groups.get(key(value))
    if (group === undefined) groups.set(key(value), [value])
    else group.push(value)
  }
  return groups
}

/** Runs of at most MAX_BATCH. */
export function batches<T>(all: readonly T[]): T[][] {
  const result: T[][] = []
  for (let at = 0; at < all.length; at += MAX_BATCH) result.push(all.slice(at, at + MAX_BATCH))
  return result
}
