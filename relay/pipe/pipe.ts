/**
 * The bytes under a link: a TCP, TLS or Unix socket, a WebSocket, or the simulator's wire.
 * Links know only this; what a pipe is made of is the rim's business. Implemented by
 * relay/pipe/*, driven by relay/endpoint and relay/server.
 */
import type { TrafficClass } from '../wire/control.ts'
import type { Slab } from './slab.ts'

/** What the owner of a pipe does with what comes. Set once, before any byte is delivered. */
export interface PipeEvents {
  /**
   * Bytes `start` to `end` of `slab.bytes` came. They are valid until this call returns,
   * unless the owner calls `slab.retain()` and later `slab.release()`. The owner may write
   * into them (labels are rewritten in place).
   */
  data(slab: Slab, start: number, end: number): void
  /**
   * Everything written so far has left for the kernel: `queuedBytes` is 0. Called only after a
   * write() or uncork() that left `queuedBytes` above 0.
   */
  drained(): void
  /** The pipe is over; nothing comes after. Called once, also after destroy(). */
  closed(reason: Error | undefined): void
}

export interface Pipe {
  /** For logs: `tcp 127.0.0.1:4711`, `unix`, `ws …`. */
  readonly name: string
  /** Bytes accepted by write() that the kernel has not taken. */
  readonly queuedBytes: number
  /** Sets who gets the bytes. Starts reading. */
  start(events: PipeEvents): void
  /**
   * Queues bytes; never refuses. They must not change until written. With `slab`, the bytes
   * lie in it: the pipe retains it until the kernel has them.
   */
  write(bytes: Uint8Array, slab?: Slab): void
  /**
   * The same for a few bytes that are in no hurry: they leave before or with the next write, or
   * when this turn of the event loop ends.
   */
  writeSoon(bytes: Uint8Array): void
  /** Between cork() and uncork() writes are gathered into one system call. Not nested: the first uncork() ends it. */
  cork(): void
  uncork(): void
  /**
   * The owner knows who is at the other end, and that the link carries this class: the pipe may
   * tune itself for it, and its listener stops counting it among the unauthenticated.
   */
  established?(trafficClass: TrafficClass): void
  /** Sends what is queued, then ends; destroys after 1 s at the latest. */
  end(): void
  /** Ends now. What is queued is lost. */
  destroy(): void
}

/**
 * What a pipe over a socket can do besides. Links never ask for it, as credit bounds what may come to them; who
 * carries a link on to another socket does.
 */
export interface Pausable {
  /** Delivers nothing more until resume(), but for a message that was read in part; the sender waits in the end. */
  pause(): void
  resume(): void
}
