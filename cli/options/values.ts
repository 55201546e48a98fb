/**
 * How times, sizes, addresses and ports are written on the command line, and read. Pure.
 * Used by the option kinds, and by anyone who prints such a value.
 */

/** Where a server listens. Port 0: any free one. */
export type Address =
  | { readonly is: 'tcp'; readonly host: string; readonly port: number }
  | { readonly is: 'unix'; readonly path: string }

const durationUnits = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const

/** Milliseconds of `500ms`, `6s`, `10m`, `2h`; a bare number is seconds. Undefined: not a time. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text)
  if (match === null) return undefined
  return Math.round(Number(match[1]) * durationUnits[(match[2] ?? 's') as keyof typeof durationUnits])
}

/** The shortest exact way to write `ms`. */
export function formatDuration(ms: number): string {
  for (const unit of ['h', 'm', 's'] as const) {
    if (ms >= durationUnits[unit] && ms % durationUnits[unit] === 0) {
      return `${ms / durationUnits[unit]}${unit}`
    }
  }
  return `${ms}ms`
}

const byteUnits = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const

/** Bytes of `65536`, `64KiB`, `32MiB`, `1GiB`. Undefined: not a size. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|TiB)?$/.exec(text)
  if (match === null) return undefined
  return Number(match[1]) * byteUnits[(match[2] ?? 'B') as keyof typeof byteUnits]
}

/** The shortest exact way to write `count` bytes. */
export function formatBytes(count: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB'] as const) {
    if (count >= byteUnits[unit] && count % byteUnits[unit] === 0) return `${count / byteUnits[unit]}${unit}`
  }
  return String(count)
}

/** A TCP port, 0 (any free one) to 65535. Undefined: not one. */
export function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined
  const port = Number(text)
  return port <= 65_535 ? port : undefined
}

/** `host:port`, `[::1]:port` or `unix:/path`. Undefined: none of them. */
export function parseAddress(text: string): Address | undefined {
  const unix = /^unix:(?:\/\/)?(.+)$/.exec(text)
  if (unix !== null) return { is: 'unix', path: unix[1] as string }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+)):(\d+)$/.exec(text)
  if (match === null) return undefined
  const port = parsePort(match[3] as string)
  return port === undefined ? undefined : { is: 'tcp', host: (match[1] ?? match[2]) as string, port }
}

/** The text that `parseAddress` reads. */
export function formatAddress(address: Address): string {
  if (address.is === 'unix') return `unix:${address.path}`
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

/** A port that `exec` dials through the tunnel, and how it travels. */
export interface DialSpec {
  readonly port: number
  readonly class: 'urgent' | 'bulk'
}

/** `7077`, `7077:urgent` or `7079:bulk` (bulk is what a bare port means). */
export function parseDial(text: string): DialSpec | undefined {
  const match = /^(\d+)(?::(urgent|bulk))?$/.exec(text)
  const port = match === null ? undefined : parsePort(match[1] as string)
  if (port === undefined || port === 0) return undefined
  return { port, class: match?.[2] === 'urgent' ? 'urgent' : 'bulk' }
}

/** A virtual port that others dial, and where it is delivered (default `[::1]:port`). */
export interface ServeSpec {
  readonly port: number
  readonly target?: { readonly host: string; readonly port: number }
}

/** `6379` or `6379=127.0.0.1:6380`. */
export function parseServe(text: string): ServeSpec | undefined {
  const [before, after] = text.split(/=(.*)/s) as [string, string?]
  const port = parsePort(before)
  if (port === undefined || port === 0) return undefined
  if (after === undefined) return { port }
  const target = parseAddress(after)
  if (target?.is !== 'tcp' || target.port === 0) return undefined
  return { port, target: { host: target.host, port: target.port } }
}
