/**
 * Whose process holds the other end of a loopback connection. A wildcard listener is within
 * reach of every user of the machine; the kernel says in /proc/net/tcp and tcp6 which uid a
 * socket belongs to. Linux only. Used by wildcard.ts before it opens a stream.
 *
 * Cost, measured on Linux 6.18 with 262,144 hash buckets: a read of one file takes 1.6 ms of a
 * pool thread with no connections, 3 ms with 300, 13 ms with 3,000. So one read answers all
 * connections that wait for it, in one pass over its lines: the cost is a time span, not a product of
 * connections.
 */
import { readFile } from 'node:fs/promises'
import { endianness } from 'node:os'
import { parseIpv4 } from './address.ts'

/** unknown: the socket is not listed or is held by nobody any more (its program closed it at once). */
export type Owner = { readonly is: 'uid'; readonly uid: number } | { readonly is: 'unknown' }

/** `null`: the table cannot be read here, so nothing can be said. */
export type ReadTable = (family: 'tcp' | 'tcp6') => Promise<string | null>

interface Question {
  /** As socketName writes it. */
  readonly socket: string
  readonly answer: (owner: Owner | null) => void
}

const readProc: ReadTable = (family) => readFile(`/proc/net/${family}`, 'latin1').catch(() => null)

export class OwnerLookup {
  readonly #read: ReadTable
  #waiting: Question[] = []
  #reading = false
  /** Where the last socket was found is looked into first: a JVM's sockets are all in tcp6, Node's in tcp. */
  #families: ['tcp' | 'tcp6', 'tcp' | 'tcp6'] = ['tcp', 'tcp6']

  constructor(read: ReadTable = readProc) {
    this.#read = read
  }

  /**
   * The owner of the socket that is bound to `address:port` and connected to
   * `toAddress:toPort`. Null where the kernel does not tell.
   */
  ownerOf(address: string, port: number, toAddress: string, toPort: number): Promise<Owner | null> {
    return new Promise((answer) => {
      this.#waiting.push({ socket: socketName(address, port, toAddress, toPort), answer })
      if (!this.#reading) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#reading = true
    // Those who ask while a table is being read wait for the next read: its start may lie
    // before their socket was in the table.
    while (this.#waiting.length > 0) {
      const asked = this.#waiting
      this.#waiting = []
      const [first, second] = this.#families
      const rest = this.#settle(asked, first, await this.#read(first))
      if (rest.length === 0) continue
      const table = await this.#read(second)
      const left = this.#settle(rest, second, table)
      if (left.length < rest.length) this.#families = [second, first]
      for (const question of left) question.answer(table === null ? null : { is: 'unknown' })
    }
    this.#reading = false
  }

  /** Answers what the table knows, returns the rest. */
  #settle(asked: readonly Question[], family: 'tcp' | 'tcp6', table: string | null): Question[] {
    if (table === null) return [...asked]
    const owners = findOwners(table, family, new Set(asked.map(({ socket }) => socket)))
    return asked.filter(({ socket, answer }) => {
      const owner = owners.get(socket)
      if (owner !== undefined) answer(owner)
      return owner === undefined
    })
  }
}

/** `0900407F:9B5B`: what endOf writes. */
const END_LENGTH = 13

/** Looks sockets up in the text of /proc/net/tcp or tcp6, in one pass. `wanted`: as socketName writes them. Pure. */
export function findOwners(
  table: string,
  family: 'tcp' | 'tcp6',
  wanted: ReadonlySet<string>,
): ReadonlyMap<string, Owner> {
  const found = new Map<string, Owner>()
  // A socket of the IPv6 family that talks IPv4 (every JVM's) is listed with a mapped address.
  const mapped = family === 'tcp6' ? `0000000000000000${endOfMapped}` : ''
  const width = mapped.length + END_LENGTH
  for (let at = table.indexOf(': '); at >= 0 && found.size < wanted.size; ) {
    const [here, there] = [at + 2, at + 2 + width + 1]
    const end = table.indexOf('\n', there)
    if (table.startsWith(mapped, here) && table.startsWith(mapped, there)) {
      const name = `${table.slice(here + mapped.length, here + width)} ${table.slice(there + mapped.length, there + width)}`
      if (wanted.has(name)) found.set(name, ownerIn(table.slice(here, end < 0 ? undefined : end)))
    }
    at = end < 0 ? -1 : table.indexOf(': ', end)
  }
  return found
}

/** `line`: from its local address on. */
function ownerIn(line: string): Owner {
  // local, remote, state, queues, timer, retransmits, uid, timeout, inode
  const fields = line.trim().split(/\s+/)
  const uid = Number(fields[6])
  // Inode 0: no process holds it, and the kernel shows uid 0 whoever it was.
  return fields[8] === '0' || !Number.isInteger(uid) ? { is: 'unknown' } : { is: 'uid', uid }
}

const littleEndian = endianness() === 'LE'
const endOfMapped = littleEndian ? 'FFFF0000' : '0000FFFF'

/** A connected socket as its line names it: its own end, then the other. */
export function socketName(address: string, port: number, toAddress: string, toPort: number): string {
  return `${endOf(address, port)} ${endOf(toAddress, toPort)}`
}

/** `0100007F:1F90` for 127.0.0.1:8080: the kernel prints the address as a number of its own byte order. */
function endOf(address: string, port: number): string {
  const value = parseIpv4(address) ?? 0
  const swapped = littleEndian
    ? ((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)
    : value
  return `${hex(swapped >>> 0, 8)}:${hex(port, 4)}`
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0')
}
