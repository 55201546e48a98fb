/**
 * Questions for the directory: so many under way at once, the rest wait, application by
 * application in turn. All relays and applications share one Redis: without this, one endpoint
 * that asks for addresses nobody has put so many commands before all others' that those ran out
 * of time, and the relay took its directory for lost. Used by whoever looks an address up.
 */
import {
  type Directory,
  DirectoryError,
  type Lease,
  type LeaseKey,
  type LookupAge,
} from '../directory/directory.ts'

/** As many control frames as a frame counts for, on top, that has the directory asked: several commands each. */
export const LOOKUP_COST = 19
/** Under way at once: some milliseconds of a Redis that answers 100,000 commands a second. */
const MAX_UNDER_WAY = 256
/** Of one application that wait; what is more is answered as if the directory were away. */
const MAX_WAITING = 16_384

interface Waiting {
  readonly key: LeaseKey
  readonly age: LookupAge
  readonly answer: PromiseWithResolvers<Lease | undefined>
}

export class Lookups {
  readonly #directory: Pick<Directory, 'lookup'>
  #underWay = 0
  /** By application, whose turn is next first; of each by what is asked for. */
  readonly #waiting = new Map<string, Map<string, Waiting>>()

  constructor(directory: Pick<Directory, 'lookup'>) {
    this.#directory = directory
  }

  /** As Directory.lookup. Those that wait for the same share one question, which is asked after the last of them came. */
  ask(key: LeaseKey, age: LookupAge = 'fresh'): Promise<Lease | undefined> {
    return this.#underWay < MAX_UNDER_WAY ? this.#send(key, age) : this.#wait(key, age)
  }

  #send(key: LeaseKey, age: LookupAge): Promise<Lease | undefined> {
    this.#underWay += 1
    const answer = this.#directory.lookup(key, age)
    answer.then(this.#answered, this.#answered)
    return answer
  }

  readonly #answered = (): void => {
    this.#underWay -= 1
    const next = this.#takeNext()
    if (next !== undefined) this.#send(next.key, next.age).then(next.answer.resolve, next.answer.reject)
  }

  #wait(key: LeaseKey, age: LookupAge): Promise<Lease | undefined> {
    let own = this.#waiting.get(key.app)
    if (own === undefined) {
      own = new Map()
      this.#waiting.set(key.app, own)
    }
    const name = `${age} ${key.class} ${key.address}`
    const same = own.get(name)
    if (same !== undefined) return same.answer.promise
    if (own.size >= MAX_WAITING)
      return Promise.reject(new DirectoryError('unavailable', `${MAX_WAITING} lookups wait already`))
    const waiting: Waiting = { key, age, answer: Promise.withResolvers() }
    own.set(name, waiting)
    return waiting.answer.promise
  }

  /** The oldest of the application whose turn it is, which then is last. */
  #takeNext(): Waiting | undefined {
    const [first] = this.#waiting
    if (first === undefined) return undefined
    const [app, own] = first
    this.#waiting.delete(app)
    const [oldest] = own
    if (oldest === undefined) return undefined // never kept empty
    own.delete(oldest[0])
    if (own.size > 0) this.#waiting.set(app, own)
    return oldest[1]
  }
}
