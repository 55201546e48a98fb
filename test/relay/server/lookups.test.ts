import { describe, expect, it } from 'vitest'
import type { Lease, LeaseKey } from '../../../relay/directory/directory.ts'
import { Lookups } from '../../../relay/server/lookups.ts'

/** A directory that answers when the test says so. */
class SlowDirectory {
  readonly asked: LeaseKey[] = []
  readonly #open: PromiseWithResolvers<Lease | undefined>[] = []

  lookup(key: LeaseKey): Promise<Lease | undefined> {
    this.asked.push(key)
    const answer = Promise.withResolvers<Lease | undefined>()
    this.#open.push(answer)
    return answer.promise
  }
  get underWay(): number {
    return this.#open.length
  }
  async answer(count: number): Promise<void> {
    for (const { resolve } of this.#open.splice(0, count)) resolve(undefined)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const keyOf = (app: string, number: number): LeaseKey => ({
  app,
  address: `127.64.${number >> 8}.${number & 255}`,
  class: 'bulk',
})

describe('questions for the directory', () => {
  it('go at once while few are under way', () => {
    const directory = new SlowDirectory()
    const lookups = new Lookups(directory)
    for (let number = 0; number < 256; number++) void lookups.ask(keyOf('a', number))
    expect(directory.asked).toHaveLength(256)
  })

  it('are never more than 256 at once, however many one application asks, and others wait for one turn only', async () => {
    const directory = new SlowDirectory()
    const lookups = new Lookups(directory)
    const answered: string[] = []
    for (let number = 0; number < 10_000; number++)
      void lookups.ask(keyOf('mallory', number)).then(() => answered.push('mallory'))
    void lookups.ask(keyOf('bob', 1)).then(() => answered.push('bob'))
    expect(directory.underWay).toBe(256)
    await directory.answer(2)
    expect(directory.asked.slice(256).map(({ app }) => app)).toEqual(['mallory', 'bob'])
    await directory.answer(256)
    expect(answered).toContain('bob')
    expect(directory.underWay).toBe(256)
    while (directory.underWay > 0) await directory.answer(256)
    expect(answered).toHaveLength(10_001)
    expect(directory.asked).toHaveLength(10_001)
  })

  it('that wait for the same address are one, asked after the last of them', async () => {
    const directory = new SlowDirectory()
    const lookups = new Lookups(directory)
    for (let number = 0; number < 256; number++) void lookups.ask(keyOf('a', number))
    const same = Array.from({ length: 100 }, () => lookups.ask(keyOf('a', 1)))
    const cached = lookups.ask(keyOf('a', 1), 'cached')
    expect(directory.asked).toHaveLength(256)
    await directory.answer(256)
    expect(directory.asked).toHaveLength(258)
    await directory.answer(2)
    await Promise.all([...same, cached])
  })

  it('of one application wait in a bounded number; what is more is answered as if the directory were away', async () => {
    const directory = new SlowDirectory()
    const lookups = new Lookups(directory)
    for (let number = 0; number < 256 + 16_384; number++)
      lookups.ask(keyOf('mallory', number)).catch(() => {})
    await expect(lookups.ask(keyOf('mallory', 20_000))).rejects.toMatchObject({ code: 'unavailable' })
    const other = lookups.ask(keyOf('bob', 1))
    await directory.answer(2)
    await directory.answer(256)
    expect(await other).toBeUndefined()
  })

  it('pass a refusal on, and go on behind it', async () => {
    let fails = true
    const lookups = new Lookups({
      lookup: () => (fails ? Promise.reject(new Error('away')) : Promise.resolve(undefined)),
    })
    const all = Array.from({ length: 300 }, (_, number) => lookups.ask(keyOf('a', number)))
    const settled = await Promise.allSettled(all)
    expect(settled.every(({ status }) => status === 'rejected')).toBe(true)
    fails = false
    expect(await lookups.ask(keyOf('a', 1))).toBeUndefined()
  })
})
