/**
 * What a rival, or we, must offer: an entry that can be dialled, and a way from there to the
 * sink. A contestant starts afresh for each run.
 */
import type { Testbed } from '../testbed/testbed.ts'

export interface Entries {
  /** Addresses `host:port` that lead to the sink. */
  readonly entries: readonly string[]
  /** Where requests go that shall be quick. Absent: the first entry. */
  readonly urgent?: string
  /** Port of 127.0.0.1 at which the load takes in what comes out. */
  readonly sinkPort: number
}

export type Scheme = 'tcp' | 'tls' | 'ws' | 'wss' | 'unix'

export interface OursOptions {
  readonly name: string
  readonly note: string
  /** Default `tcp`. */
  readonly scheme?: Scheme
  /** Another checkout of ours. */
  readonly root?: string
  readonly needs?: readonly string[]
  /** Two relay processes, one a class, with their directory in Redis: as `relay --classes` has it. */
  readonly hasClassesApart?: boolean
  /** Relay and endpoints run as they are shipped, built: a checkout's Node holds a TypeScript compiler too. */
  readonly isBuilt?: boolean
  /** Endpoints mask WebSocket messages with zeros, without TLS too. */
  readonly hasZeroMasks?: boolean
}

export interface SparkWorld {
  /** Authentication and encryption of Spark's own. */
  readonly isEncrypted: boolean
  /** Checkout whose `submit` runs the job. Absent: no relay. */
  readonly root?: string
}

export interface Contestant {
  readonly name: string
  /** What has to be known to read its figures, such as `one thread, no splice`. */
  readonly note: string
  readonly isOurs: boolean
  /** Ours only: how its relay and endpoints are made, for benches that place more of them than two. */
  readonly world?: OursOptions
  /** Spark jobs only: how one is run. */
  readonly spark?: SparkWorld
  /** Programs that must be installed. How they are asked for their versions: measure/versions.ts. */
  readonly needs: readonly string[]
  /** Versions of what is no program of a name. */
  moreVersions?(): Promise<Readonly<Record<string, string>>>
  /** The same with our code of another checkout. Ours only. */
  at?(name: string, root: string): Contestant
  start(bed: Testbed): Promise<Entries>
}

export type Rival = Omit<Contestant, 'isOurs'>
