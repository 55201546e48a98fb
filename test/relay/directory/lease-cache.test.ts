import { expect, it } from 'vitest'
import type { Lease } from '../../../relay/directory/directory.ts'
import { LeaseCache } from '../../../relay/directory/lease-cache.ts'

function lease(epoch: number, expiresAtMs = 100_000): Lease {
  return { node: `n${epoch}`, urls: [], generation: 1, incarnation: 'a', counter: 1, epoch, expiresAtMs }
}

it('keeps a lease for its time, and not beyond the end of the lease', () => {
  const cache = new LeaseCache(2_000, 10)
  cache.put('a', lease(1), 0)
  cache.put('b', lease(1, 500), 0)
  expect(cache.get('a', 1_999)?.epoch).toBe(1)
  expect(cache.get('a', 2_000)).toBeUndefined()
  expect(cache.get('b', 501)).toBeUndefined()
  expect(cache.size).toBe(0)
})

it('does not let a late answer replace what a hint has said', () => {
  const cache = new LeaseCache(2_000, 10)
  cache.put('a', lease(5), 0)
  cache.put('a', lease(4), 1)
  expect(cache.get('a', 2)?.epoch).toBe(5)
})

it('holds so many leases and no more', () => {
  const cache = new LeaseCache(2_000, 3)
  for (let i = 0; i < 10; i++) cache.put(`k${i}`, lease(i + 1), 0)
  expect(cache.size).toBe(3)
  expect(cache.get('k9', 1)?.epoch).toBe(10)
  expect(cache.get('k0', 1)).toBeUndefined()
})
