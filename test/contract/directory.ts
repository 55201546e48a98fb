/**
 * What a directory is, whatever is behind it. Run by test/relay/directory/memory.test.ts, and
 * by Redis's test against a real server. A bug found in one implementation becomes a sentence here.
 */
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Claim, Directory, DirectoryChange, LeaseKey } from '../../relay/directory/directory.ts'

export interface DirectoryUnderTest {
  readonly directory: Directory
  /** Lets that much time pass for leases: memory moves a clock, Redis waits. */
  passMs(ms: number): Promise<void>
  /** The same directory emptied, as after a restart without its data. */
  emptied(): Promise<Directory>
}

const exec7: LeaseKey = { app: 'spark-a', address: '127.64.0.7', class: 'bulk' }
const exec7urgent: LeaseKey = { ...exec7, class: 'urgent' }
/** Of leases that must end in a test. */
const TTL_MS = 200
/** Of leases that must not, however long the machine stands still. */
const LIVES_MS = 30_000

function claimOf(over: Partial<Claim> = {}): Claim {
  return {
    node: 'relay-a',
    urls: ['tcp://10.0.0.1:7100'],
    generation: 1,
    incarnation: '00000000000000aa',
    counter: 1,
    ...over,
  }
}
const otherProcess = { incarnation: '00000000000000bb' }

export function describeDirectory(name: string, create: () => Promise<DirectoryUnderTest>): void {
  const start = async (): Promise<DirectoryUnderTest> => {
    const made = await create()
    onTestFinished(() => made.directory.close())
    return made
  }

  describe(`${name} directory: claims`, () => {
    it('answers a claim with all that was claimed and a lookup with the same lease', async () => {
      const { directory } = await start()
      const lease = await directory.claim(exec7, claimOf(), LIVES_MS)
      expect(lease).toMatchObject(claimOf())
      const found = await directory.lookup(exec7)
      expect(found).toMatchObject({ ...claimOf(), epoch: lease.epoch })
    })

    it('knows nothing of an address that nobody claimed', async () => {
      const { directory } = await start()
      expect(await directory.lookup(exec7)).toBeUndefined()
    })

    it('keeps classes, addresses and applications apart', async () => {
      const { directory } = await start()
      await directory.claim(exec7, claimOf(), LIVES_MS)
      expect(await directory.lookup(exec7urgent)).toBeUndefined()
      expect(await directory.lookup({ ...exec7, address: '127.64.0.8' })).toBeUndefined()
      expect(await directory.lookup({ ...exec7, app: 'spark-b' })).toBeUndefined()
      await directory.claim({ ...exec7, app: 'spark-b' }, claimOf(otherProcess), LIVES_MS)
      expect(await directory.lookup(exec7)).toMatchObject({ incarnation: claimOf().incarnation })
    })

    it('gives the lease to a newer link of the same process, wherever it comes in', async () => {
      const { directory } = await start()
      const first = await directory.claim(exec7, claimOf(), LIVES_MS)
      const second = await directory.claim(exec7, claimOf({ node: 'relay-b', counter: 2 }), LIVES_MS)
      expect(second.epoch).toBeGreaterThan(first.epoch)
      expect(await directory.lookup(exec7)).toMatchObject({ node: 'relay-b', counter: 2 })
    })

    it('refuses a link of the same process that is not newer, as superseded', async () => {
      const { directory } = await start()
      await directory.claim(exec7, claimOf({ counter: 5 }), LIVES_MS)
      for (const counter of [5, 4]) {
        await expect(
          directory.claim(exec7, claimOf({ node: 'relay-b', counter }), LIVES_MS),
        ).rejects.toMatchObject({
          code: 'superseded',
        })
      }
      expect(await directory.lookup(exec7)).toMatchObject({ node: 'relay-a', counter: 5 })
    })

    it('refuses another process of the same generation while the lease lives, however high its counter', async () => {
      const { directory } = await start()
      await directory.claim(exec7, claimOf(), LIVES_MS)
      await expect(
        directory.claim(exec7, claimOf({ ...otherProcess, counter: 99 }), LIVES_MS),
      ).rejects.toMatchObject({ code: 'taken' })
    })

    it('takes another process of the same generation once the lease ran out', async () => {
      const { directory, passMs } = await start()
      const first = await directory.claim(exec7, claimOf(), TTL_MS)
      await passMs(TTL_MS + 50)
      const second = await directory.claim(exec7, claimOf(otherProcess), LIVES_MS)
      expect(second.epoch).toBeGreaterThan(first.epoch)
    })

    it('lets a higher generation win over a live lease', async () => {
      const { directory } = await start()
      await directory.claim(exec7, claimOf({ counter: 9 }), LIVES_MS)
      await directory.claim(exec7, claimOf({ ...otherProcess, generation: 2 }), LIVES_MS)
      expect(await directory.lookup(exec7)).toMatchObject({ ...otherProcess, generation: 2 })
    })

    it('refuses a lower generation as retired, in both classes, also after the lease ran out', async () => {
      const { directory, passMs } = await start()
      await directory.claim(exec7, claimOf({ ...otherProcess, generation: 2 }), TTL_MS)
      const older = claimOf({ counter: 9 })
      await expect(directory.claim(exec7, older, LIVES_MS)).rejects.toMatchObject({ code: 'retired' })
      await expect(directory.claim(exec7urgent, older, LIVES_MS)).rejects.toMatchObject({ code: 'retired' })
      await passMs(TTL_MS + 50)
      await expect(directory.claim(exec7, older, LIVES_MS)).rejects.toMatchObject({ code: 'retired' })
    })

    it('grants one of many claims that come at once', async () => {
      const { directory } = await start()
      const claims = Array.from({ length: 8 }, (_, i) =>
        directory.claim(exec7, claimOf({ incarnation: `000000000000000${i}`, node: `relay-${i}` }), LIVES_MS),
      )
      const settled = await Promise.allSettled(claims)
      const granted = settled.filter((one) => one.status === 'fulfilled')
      expect(granted).toHaveLength(1)
      expect(await directory.lookup(exec7)).toMatchObject({ node: granted[0]?.value.node })
    })

    it('goes on with higher epochs after it was emptied', async () => {
      const { directory, emptied } = await start()
      await directory.claim(exec7, claimOf(), LIVES_MS)
      const before = await directory.claim(exec7, claimOf({ counter: 2 }), LIVES_MS)
      const again = await emptied()
      onTestFinished(() => again.close())
      expect(await again.lookup(exec7)).toBeUndefined()
      const after = await again.claim(exec7, claimOf({ counter: 3 }), LIVES_MS)
      expect(after.epoch).toBeGreaterThan(before.epoch)
    })
  })

  describe(`${name} directory: the life of a lease`, () => {
    it('forgets an address when its lease runs out', async () => {
      const { directory, passMs } = await start()
      await directory.claim(exec7, claimOf(), TTL_MS)
      await passMs(TTL_MS + 50)
      expect(await directory.lookup(exec7)).toBeUndefined()
    })

    it('keeps a lease that is renewed, under its epoch', async () => {
      const { directory, passMs } = await start()
      const lease = await directory.claim(exec7, claimOf(), 1_000)
      await passMs(600)
      const renewed = await directory.renew(exec7, lease, LIVES_MS)
      expect(renewed.epoch).toBe(lease.epoch)
      expect(renewed.expiresAtMs).toBeGreaterThan(lease.expiresAtMs)
      await passMs(600)
      expect(await directory.lookup(exec7)).toMatchObject({ epoch: lease.epoch })
    })

    it('refuses to renew what another epoch holds', async () => {
      const { directory } = await start()
      const old = await directory.claim(exec7, claimOf(), LIVES_MS)
      await directory.claim(exec7, claimOf({ node: 'relay-b', counter: 2 }), LIVES_MS)
      await expect(directory.renew(exec7, old, LIVES_MS)).rejects.toMatchObject({ code: 'superseded' })
      expect(await directory.lookup(exec7)).toMatchObject({ node: 'relay-b' })
    })

    it('writes a lease anew when it is renewed after the directory was emptied', async () => {
      const { directory, emptied } = await start()
      const lease = await directory.claim(exec7, claimOf(), LIVES_MS)
      const again = await emptied()
      onTestFinished(() => again.close())
      await again.renew(exec7, lease, LIVES_MS)
      expect(await again.lookup(exec7)).toMatchObject({ ...claimOf(), epoch: lease.epoch })
      await expect(again.claim(exec7, claimOf(otherProcess), LIVES_MS)).rejects.toMatchObject({
        code: 'taken',
      })
    })

    it('lets the renewal of a newer lease win over an older one that it fell back to', async () => {
      const { directory, emptied } = await start()
      const old = await directory.claim(exec7, claimOf(), LIVES_MS)
      const newer = await directory.claim(exec7, claimOf({ node: 'relay-b', counter: 2 }), LIVES_MS)
      const again = await emptied()
      onTestFinished(() => again.close())
      await again.renew(exec7, old, LIVES_MS)
      await again.renew(exec7, newer, LIVES_MS)
      expect(await again.lookup(exec7)).toMatchObject({ node: 'relay-b', epoch: newer.epoch })
      await expect(again.renew(exec7, old, LIVES_MS)).rejects.toMatchObject({ code: 'superseded' })
    })

    it('releases only for the epoch that holds the lease', async () => {
      const { directory } = await start()
      const old = await directory.claim(exec7, claimOf(), LIVES_MS)
      const now = await directory.claim(exec7, claimOf({ counter: 2 }), LIVES_MS)
      expect(await directory.release(exec7, old.epoch)).toBe(false)
      expect(await directory.lookup(exec7)).toMatchObject({ epoch: now.epoch })
      expect(await directory.release(exec7, now.epoch)).toBe(true)
      expect(await directory.lookup(exec7)).toBeUndefined()
      expect(await directory.release(exec7, now.epoch)).toBe(false)
    })
  })

  describe(`${name} directory: retirement`, () => {
    it('ends leases of both classes at once', async () => {
      const { directory } = await start()
      await directory.claim(exec7, claimOf(), LIVES_MS)
      await directory.claim(exec7urgent, claimOf(), LIVES_MS)
      await directory.retire(exec7.app, exec7.address, 1)
      expect(await directory.lookup(exec7)).toBeUndefined()
      expect(await directory.lookup(exec7urgent)).toBeUndefined()
    })

    it('beats every epoch: claims and renewals of a retired generation are refused', async () => {
      const { directory } = await start()
      const lease = await directory.claim(exec7, claimOf(), LIVES_MS)
      await directory.retire(exec7.app, exec7.address, 1)
      await expect(
        directory.renew(exec7, { ...lease, epoch: lease.epoch + 1e9 }, LIVES_MS),
      ).rejects.toMatchObject({
        code: 'retired',
      })
      await expect(directory.claim(exec7, claimOf({ counter: 1e9 }), LIVES_MS)).rejects.toMatchObject({
        code: 'retired',
      })
    })

    it('holds for an address that never attached', async () => {
      const { directory } = await start()
      await directory.retire(exec7.app, exec7.address, 3)
      await expect(directory.claim(exec7, claimOf({ generation: 3 }), LIVES_MS)).rejects.toMatchObject({
        code: 'retired',
      })
    })

    it('leaves a higher generation alone, and is not undone by retiring a lower one', async () => {
      const { directory } = await start()
      await directory.claim(exec7, claimOf({ generation: 2 }), LIVES_MS)
      await directory.retire(exec7.app, exec7.address, 1)
      expect(await directory.lookup(exec7)).toMatchObject({ generation: 2 })
      await directory.retire(exec7.app, exec7.address, 2)
      await directory.retire(exec7.app, exec7.address, 1)
      await expect(
        directory.claim(exec7, claimOf({ generation: 2, counter: 2 }), LIVES_MS),
      ).rejects.toMatchObject({
        code: 'retired',
      })
    })

    it('says up to which generation an address is over: retired, or followed by a higher one', async () => {
      const { directory } = await start()
      const over = () => directory.retiredUpTo(exec7.app, exec7.address)
      expect(await over()).toBe(-1)
      await directory.claim(exec7, claimOf({ generation: 3 }), LIVES_MS)
      expect(await over()).toBe(2)
      await directory.retire(exec7.app, exec7.address, 5)
      expect(await over()).toBe(5)
      expect(await directory.retiredUpTo('spark-b', exec7.address)).toBe(-1)
    })

    it('leaves the same address of another application alone', async () => {
      const { directory } = await start()
      const other = { ...exec7, app: 'spark-b' }
      await directory.claim(other, claimOf(), LIVES_MS)
      await directory.retire(exec7.app, exec7.address, 5)
      expect(await directory.lookup(other)).toMatchObject({ generation: 1 })
    })
  })

  describe(`${name} directory: the relays`, () => {
    it('knows the relays that announced themselves, until their time is over', async () => {
      const { directory, passMs } = await start()
      const record = {
        node: 'relay-a',
        urls: ['tcp://10.0.0.1:7100'],
        classes: ['urgent', 'bulk'] as const,
        links: 12,
        bytesPerSecond: 34,
        isLeaving: false,
      }
      directory.announce(record, LIVES_MS)
      for (let i = 0; i < 2_000 && directory.nodes().length === 0; i++) await passMs(5)
      expect(directory.nodes()).toEqual([record])
      const leaving = { ...record, isLeaving: true }
      directory.announce(leaving, LIVES_MS)
      for (let i = 0; i < 2_000 && directory.nodes()[0]?.isLeaving !== true; i++) await passMs(5)
      expect(directory.nodes()).toEqual([leaving])
    })
  })

  describe(`${name} directory: hints`, () => {
    it('tells of claims, releases and retirements until told to stop', async () => {
      const { directory } = await start()
      const told: DirectoryChange['is'][] = []
      let wake = (): void => {}
      const count = (n: number): Promise<void> =>
        new Promise((resolve) => {
          wake = () => {
            if (told.length >= n) resolve()
          }
          wake()
        })
      const stop = directory.subscribe((change) => {
        told.push(change.is)
        wake()
      })
      const lease = await directory.claim(exec7, claimOf(), LIVES_MS)
      await directory.release(exec7, lease.epoch)
      await directory.retire(exec7.app, exec7.address, 1)
      await count(3)
      expect(told).toEqual(['claimed', 'released', 'retired'])
      stop()
      await directory.claim(exec7, claimOf({ generation: 2 }), LIVES_MS)
      expect(told).toHaveLength(3)
    })

    it('is reachable, and says since when it is empty', async () => {
      const { directory } = await start()
      expect(directory.isReachable).toBe(true)
      expect(directory.emptySinceMs).toBeTypeOf('number')
    })
  })
}
