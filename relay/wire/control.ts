/**
 * The payloads of control frames: what they hold, and how they are checked. Everything that
 * comes from a peer passes a check here before anyone reads it. Pure.
 */
import { violation } from './errors.ts'
import { FrameType, HEADER_BYTES, MAX_CONTROL_BYTES, MAX_LABEL, writeHeader } from './header.ts'
import { isPlainMsgpack } from './msgpack-shape.ts'
import { packr } from './packr.ts'
import { parseVirtualAddress } from './virtual-address.ts'

/** Traffic class of a link and of all streams on it. */
export type TrafficClass = 'urgent' | 'bulk'

/** First frame of an endpoint. */
export interface Hello {
  readonly versions: readonly [min: number, max: number]
  readonly token: string
  /** Random, one a process: 16 hexadecimal digits. */
  readonly incarnation: string
  /** Grows with every link of this incarnation and class; the highest is the one that counts. */
  readonly counter: number
  readonly class: TrafficClass
  /** `attach`: this relay is to be home. `visit`: only to open streams to those at home here. */
  readonly mode: 'attach' | 'visit'
  /** It comes because a relay sent it here, or would not be sent elsewhere: a relay that serves takes it. */
  readonly placed?: boolean
  /** An old home, which asked it to go, still serves it: being refused costs it nothing. */
  readonly hasHome?: boolean
}

/** The relay's answer. All sizes in bytes, times in ms. */
export interface Welcome {
  readonly version: number
  /** Identity of the relay process. */
  readonly node: string
  /** What this relay queues for one link at most; the credit out over it must stay below. */
  readonly maxQueuedBytes: number
  /** Streams on this link at most. */
  readonly maxStreams: number
  /** Send a keepalive after this much of nothing. */
  readonly keepaliveMs: number
  /** After this much of nothing the link is lost. */
  readonly silenceMs: number
  /** How long the relay keeps an address whose link was lost. */
  readonly graceMs: number
}

/** Endpoint to relay. The header's offset is the credit granted to the peer. */
export interface Open {
  readonly to: string
  readonly port: number
  /** Of the opener's own counting; with the opener's incarnation it names the stream for ever. */
  readonly id: number
}
/** Relay to endpoint: the same, with who opens. */
export interface Incoming {
  readonly from: string
  readonly incarnation: string
  readonly port: number
  readonly id: number
}
/** Both hops. The header's offset is the credit granted to the opener. */
export interface Opened {
  readonly incarnation: string
}

/** One stream of a RESUME. */
export interface ResumeEntry {
  readonly label: number
  readonly id: number
  /** Higher than any before of this stream; accepting it retires all older routes. */
  readonly generation: number
  /** Everything below this offset has come. */
  readonly received: number
  /** Credit: absolute offset up to which the peer may send. */
  readonly limit: number
  /** Port, for a stream whose OPEN was never answered; 0 when it was. */
  readonly port: number
}
/** Endpoint to relay: `peer` is the address to resume to, `incarnation` the one expected there ('' when not known yet). Relay to endpoint: `peer` and `incarnation` are the opener's. */
export interface Resume {
  readonly peer: string
  readonly incarnation: string
  readonly entries: readonly ResumeEntry[]
}
/** `live`: go on. `ended`: it came to its end, with both FINs confirmed. `lost`: not known, or it was reset. */
export type ResumedStatus = 'live' | 'ended' | 'lost'
/** Numbers of the statuses on the wire. */
export const resumedStatuses = { ended: 0, live: 1, lost: 2 } as const satisfies Record<ResumedStatus, number>
export interface ResumedEntry {
  readonly label: number
  readonly generation: number
  readonly status: ResumedStatus
  readonly received: number
  readonly limit: number
}
export interface Resumed {
  readonly incarnation: string
  readonly entries: readonly ResumedEntry[]
}

/** The address is attached elsewhere. `labels`: the OPENs and RESUMEs that this answers; they are closed by it. */
export interface Moved {
  readonly to: string
  readonly node: string
  readonly urls: readonly string[]
  readonly epoch: number
  readonly labels: readonly number[]
}
export interface RouteDown {
  readonly labels: readonly number[]
}
/** '' as incarnation means: whichever it was. */
export interface Gone {
  readonly address: string
  readonly incarnation: string
}
export interface Watch {
  readonly peers: readonly { readonly address: string; readonly incarnation: string }[]
}
export interface Retire {
  readonly address: string
  /** Token generations up to this one are over. */
  readonly generation: number
}

/** Entries of a RESUME, RESUMED, ROUTE_DOWN, MOVED or WATCH at most, so that any of them fits a control frame. */
export const MAX_BATCH = 512

/** A whole control frame. Throws RangeError when the payload is too long, which is a fault of ours. */
export function encodeControl(type: number, label: number, offset: number, payload: unknown): Buffer {
  const body = packr.pack(payload)
  if (body.length > MAX_CONTROL_BYTES)
    throw new RangeError(`control frame 0x${type.toString(16)} of ${body.length} bytes`)
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length)
  writeHeader(frame, 0, type, body.length, label, offset)
  body.copy(frame, HEADER_BYTES)
  return frame
}

/** A frame whose payload is a sentence for people: CLOSE (offset: reason), GO_AWAY (offset: ms left). */
export function encodeText(type: number, offset: number, text: string): Buffer {
  const body = Buffer.from(text.slice(0, 1000), 'utf8')
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length)
  writeHeader(frame, 0, type, body.length, 0, offset)
  body.copy(frame, HEADER_BYTES)
  return frame
}

/** A frame that is only a header. */
export function encodeSignal(type: number, label: number, offset: number): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES)
  writeHeader(frame, 0, type, 0, label, offset)
  return frame
}

/** ACK and CREDIT of one stream in one piece, each -1 for none. */
export function encodeReceipts(label: number, ack: number, credit: number): Buffer {
  const frames = Buffer.allocUnsafe(ack >= 0 && credit >= 0 ? 2 * HEADER_BYTES : HEADER_BYTES)
  if (ack >= 0) writeHeader(frames, 0, FrameType.ack, 0, label, ack)
  if (credit >= 0) writeHeader(frames, frames.length - HEADER_BYTES, FrameType.credit, 0, label, credit)
  return frames
}

type Fields = Readonly<Record<string, unknown>>

function unpack(frame: string, payload: Buffer): Fields {
  if (!isPlainMsgpack(payload)) throw violation(`${frame} is not plain msgpack`)
  let value: unknown
  try {
    value = packr.unpack(payload)
  } catch {
    throw violation(`${frame} is not msgpack`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw violation(`${frame} is not a map`)
  return value as Fields
}

function text(frame: string, fields: Fields, name: string, maxLength: number, minLength = 1): string {
  const value = fields[name]
  if (typeof value !== 'string' || value.length > maxLength || value.length < minLength) {
    throw violation(`${frame}.${name} must be a string of ${minLength} to ${maxLength} characters`)
  }
  return value
}

/** Whoever names another makes it up: tables and keys of the directory hold addresses only. */
function address(frame: string, fields: Fields, name: string): string {
  const value = text(frame, fields, name, MAX_ADDRESS)
  if (parseVirtualAddress(value) === undefined)
    throw violation(`${frame}.${name} must be an address in 127.64.0.0/10`)
  return value
}

/** `orNone`: '' may stand for one that is not known. */
function incarnation(frame: string, fields: Fields, orNone: 'or none' | 'given' = 'given'): string {
  const value = fields.incarnation
  if (orNone === 'or none' && value === '') return ''
  if (typeof value !== 'string' || !/^[0-9a-f]{16}$/.test(value))
    throw violation(`${frame}.incarnation must be 16 lower-case hexadecimal digits`)
  return value
}

function port(frame: string, fields: Fields): number {
  const value = integer(frame, fields, 'port', 65_535)
  if (value === 0) throw violation(`${frame}.port must be an integer from 1 to 65535`)
  return value
}

function integer(frame: string, fields: Fields, name: string, max = Number.MAX_SAFE_INTEGER): number {
  const value = fields[name]
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
    throw violation(`${frame}.${name} must be an integer from 0 to ${max}`)
  }
  return value
}

function list(frame: string, fields: Fields, name: string): readonly unknown[] {
  const value = fields[name]
  if (!Array.isArray(value) || value.length > MAX_BATCH) {
    throw violation(`${frame}.${name} must be a list of at most ${MAX_BATCH}`)
  }
  return value
}

function numbers(frame: string, value: unknown, count: number): readonly number[] {
  if (!Array.isArray(value) || value.length !== count)
    throw violation(`${frame} entry must have ${count} numbers`)
  for (const number of value) {
    if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0) {
      throw violation(`${frame} entry must hold integers from 0 to 2^53 - 1`)
    }
  }
  return value as number[]
}

function oneOf<const T extends string>(
  frame: string,
  fields: Fields,
  name: string,
  allowed: readonly T[],
): T {
  const value = fields[name]
  const found = allowed.find((candidate) => candidate === value)
  if (found === undefined) throw violation(`${frame}.${name} must be one of ${allowed.join(', ')}`)
  return found
}

const MAX_ADDRESS = 15
const MAX_URL = 255

export function encodeHello(hello: Hello): Buffer {
  return encodeControl(FrameType.hello, 0, 0, hello)
}
/** Throws `violation` for anything but a Hello. Says nothing of whether the token is good. */
export function decodeHello(payload: Buffer): Hello {
  const fields = unpack('HELLO', payload)
  const [min, max] = numbers('HELLO.versions', fields.versions, 2) as [number, number]
  return {
    versions: [min, max],
    token: text('HELLO', fields, 'token', 4096, 0),
    incarnation: incarnation('HELLO', fields),
    counter: integer('HELLO', fields, 'counter'),
    class: oneOf('HELLO', fields, 'class', ['urgent', 'bulk']),
    mode: oneOf('HELLO', fields, 'mode', ['attach', 'visit']),
    placed: fields.placed === true,
    hasHome: fields.hasHome === true,
  }
}

export function encodeWelcome(welcome: Welcome): Buffer {
  return encodeControl(FrameType.welcome, 0, 0, welcome)
}
export function decodeWelcome(payload: Buffer): Welcome {
  const fields = unpack('WELCOME', payload)
  return {
    version: integer('WELCOME', fields, 'version'),
    node: text('WELCOME', fields, 'node', 64),
    maxQueuedBytes: integer('WELCOME', fields, 'maxQueuedBytes'),
    maxStreams: integer('WELCOME', fields, 'maxStreams'),
    keepaliveMs: integer('WELCOME', fields, 'keepaliveMs'),
    silenceMs: integer('WELCOME', fields, 'silenceMs'),
    graceMs: integer('WELCOME', fields, 'graceMs'),
  }
}

export function decodeOpen(payload: Buffer): Open {
  const fields = unpack('OPEN', payload)
  return {
    to: address('OPEN', fields, 'to'),
    port: port('OPEN', fields),
    id: integer('OPEN', fields, 'id'),
  }
}
export function decodeIncoming(payload: Buffer): Incoming {
  const fields = unpack('OPEN', payload)
  return {
    from: address('OPEN', fields, 'from'),
    incarnation: incarnation('OPEN', fields),
    port: port('OPEN', fields),
    id: integer('OPEN', fields, 'id'),
  }
}
export function decodeOpened(payload: Buffer): Opened {
  return { incarnation: incarnation('OPENED', unpack('OPENED', payload)) }
}

/** Entries travel as lists of numbers in the order of the interface's fields. */
export function encodeResume(resume: Resume): Buffer {
  return encodeControl(FrameType.resume, 0, 0, {
    peer: resume.peer,
    incarnation: resume.incarnation,
    entries: resume.entries.map((e) => [e.label, e.id, e.generation, e.received, e.limit, e.port]),
  })
}
export function decodeResume(payload: Buffer): Resume {
  const fields = unpack('RESUME', payload)
  const entries = list('RESUME', fields, 'entries').map((entry) => {
    const [label, id, generation, received, limit, port] = numbers('RESUME', entry, 6) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    assertLabel('RESUME', label)
    if (port > 65535) throw violation(`RESUME entry has port ${port}`)
    return { label, id, generation, received, limit, port }
  })
  return {
    peer: address('RESUME', fields, 'peer'),
    incarnation: incarnation('RESUME', fields, 'or none'),
    entries,
  }
}

export function encodeResumed(resumed: Resumed): Buffer {
  return encodeControl(FrameType.resumed, 0, 0, {
    incarnation: resumed.incarnation,
    entries: resumed.entries.map((e) => [
      e.label,
      e.generation,
      resumedStatuses[e.status],
      e.received,
      e.limit,
    ]),
  })
}
export function decodeResumed(payload: Buffer): Resumed {
  const fields = unpack('RESUMED', payload)
  const entries = list('RESUMED', fields, 'entries').map((entry): ResumedEntry => {
    const [label, generation, number, received, limit] = numbers('RESUMED', entry, 5) as [
      number,
      number,
      number,
      number,
      number,
    ]
    assertLabel('RESUMED', label)
    return { label, generation, status: statusOf(number), received, limit }
  })
  return { incarnation: incarnation('RESUMED', fields), entries }
}

function statusOf(number: number): ResumedStatus {
  if (number === resumedStatuses.live) return 'live'
  if (number === resumedStatuses.ended) return 'ended'
  if (number === resumedStatuses.lost) return 'lost'
  throw violation(`RESUMED entry has status ${number}, not 0 to 2`)
}

export function encodeMoved(moved: Moved): Buffer {
  return encodeControl(FrameType.moved, 0, 0, moved)
}
export function decodeMoved(payload: Buffer): Moved {
  const fields = unpack('MOVED', payload)
  const urls = list('MOVED', fields, 'urls').map((url) => {
    if (typeof url !== 'string' || url.length > MAX_URL)
      throw violation(`MOVED.urls must be strings up to ${MAX_URL}`)
    return url
  })
  return {
    to: address('MOVED', fields, 'to'),
    node: text('MOVED', fields, 'node', 64),
    urls,
    epoch: integer('MOVED', fields, 'epoch'),
    labels: labelList('MOVED', fields),
  }
}

function labelList(frame: string, fields: Fields): readonly number[] {
  const labels = list(frame, fields, 'labels')
  const checked = numbers(`${frame}.labels`, labels, labels.length)
  for (const label of checked) assertLabel(frame, label)
  return checked
}

function assertLabel(frame: string, label: number): void {
  if (label < 1 || label > MAX_LABEL) throw violation(`${frame} names label ${label}`)
}

export function encodeRouteDown(down: RouteDown): Buffer {
  return encodeControl(FrameType.routeDown, 0, 0, down)
}
export function decodeRouteDown(payload: Buffer): RouteDown {
  return { labels: labelList('ROUTE_DOWN', unpack('ROUTE_DOWN', payload)) }
}

export function encodeGone(gone: Gone): Buffer {
  return encodeControl(FrameType.gone, 0, 0, gone)
}
export function decodeGone(payload: Buffer): Gone {
  const fields = unpack('GONE', payload)
  return {
    address: address('GONE', fields, 'address'),
    incarnation: incarnation('GONE', fields, 'or none'),
  }
}

export function encodeWatch(watch: Watch): Buffer {
  return encodeControl(FrameType.watch, 0, 0, watch)
}
export function decodeWatch(payload: Buffer): Watch {
  const peers = list('WATCH', unpack('WATCH', payload), 'peers').map((peer) => {
    if (typeof peer !== 'object' || peer === null) throw violation('WATCH.peers must be maps')
    const fields = peer as Fields
    return {
      address: address('WATCH', fields, 'address'),
      incarnation: incarnation('WATCH', fields),
    }
  })
  return { peers }
}

export function encodeRetire(retire: Retire): Buffer {
  return encodeControl(FrameType.retire, 0, 0, retire)
}
export function decodeRetire(payload: Buffer): Retire {
  const fields = unpack('RETIRE', payload)
  return {
    address: address('RETIRE', fields, 'address'),
    generation: integer('RETIRE', fields, 'generation'),
  }
}
