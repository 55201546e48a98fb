/**
 * The kinds of options there are: each makes a row for a table, with its check and what
 * --help says. Used by the tables beside this file only.
 */
import * as z from 'zod'
import type { Option } from './option.ts'
import {
  type Address,
  formatBytes,
  formatDuration,
  parseAddress,
  parseBytes,
  parseDuration,
} from './values.ts'

interface Common {
  readonly says: string
  readonly hidden?: boolean
}
interface WithDefault<T> extends Common {
  readonly default: T
}
interface Bounds {
  readonly min: number
  readonly max: number
}

function row<T>(
  flag: string,
  common: Common,
  rest: Pick<Option<T>, 'allowed' | 'default' | 'schema'> & Partial<Option<T>>,
): Option<T> {
  return {
    flag,
    says: common.says,
    hidden: common.hidden ?? false,
    repeatable: false,
    required: false,
    ...rest,
  }
}

/** A schema out of a parser that answers undefined to what it does not understand. */
function parsed<T>(parse: (text: string) => T | undefined): z.ZodType<T, string> {
  return z.string().transform((text, context) => {
    const value = parse(text)
    if (value !== undefined) return value
    context.issues.push({ code: 'custom', input: text, message: 'not understood' })
    return z.NEVER
  })
}

/** A count without a unit. */
export function integer(flag: string, spec: WithDefault<number> & Bounds): Option<number> {
  const allowed = `${spec.min} to ${spec.max}`
  return row<number>(flag, spec, {
    value: 'n',
    allowed,
    range: allowed,
    default: spec.default,
    defaultText: String(spec.default),
    schema: () =>
      z.string().regex(/^\d+$/).transform(Number).pipe(z.number().int().min(spec.min).max(spec.max)),
  })
}

/** `500ms`, `6s`, `10m`, `2h`; a bare number is seconds. The value is in milliseconds. */
export function duration(flag: string, spec: WithDefault<number> & Bounds): Option<number>
export function duration(flag: string, spec: WithDefault<undefined> & Bounds): Option<number | undefined>
export function duration(
  flag: string,
  spec: WithDefault<number | undefined> & Bounds,
): Option<number | undefined> {
  const range = `${formatDuration(spec.min)} to ${formatDuration(spec.max)}`
  return row<number | undefined>(flag, spec, {
    value: 'time',
    allowed: `${range} (such as 500ms, 6s, 10m, 2h)`,
    range,
    default: spec.default,
    defaultText: spec.default === undefined ? 'no limit' : formatDuration(spec.default),
    schema: () => parsed(parseDuration).pipe(z.number().min(spec.min).max(spec.max)),
  })
}

/** `65536`, `64KiB`, `32MiB`, `1GiB`. The value is in bytes. */
export function bytes(flag: string, spec: WithDefault<number> & Bounds): Option<number> {
  const range = `${formatBytes(spec.min)} to ${formatBytes(spec.max)}`
  return row<number>(flag, spec, {
    value: 'size',
    allowed: `${range} (bytes, or such as 64KiB, 32MiB, 1GiB)`,
    range,
    default: spec.default,
    defaultText: formatBytes(spec.default),
    schema: () => parsed(parseBytes).pipe(z.number().int().min(spec.min).max(spec.max)),
  })
}

/** One of a closed list. */
export function choice<const T extends string>(
  flag: string,
  spec: Common & { readonly value: string; readonly of: readonly [T, ...T[]]; readonly default: T },
): Option<T> {
  const allowed =
    spec.of.length === 1 ? spec.of[0] : `${spec.of.slice(0, -1).join(', ')} or ${spec.of.at(-1)}`
  return row<T>(flag, spec, {
    value: spec.value,
    allowed,
    range: allowed,
    default: spec.default,
    defaultText: spec.default,
    schema: () => z.enum(spec.of) as unknown as z.ZodType<T, string>,
  })
}

/** On when given; in the environment `1`, `true`, `0` or `false`. */
export function toggle(flag: string, spec: Common): Option<boolean> {
  return row<boolean>(flag, spec, {
    allowed: '1, true, 0 or false',
    default: false,
    schema: () =>
      z.enum(['1', 'true', '0', 'false']).transform((text) => text === '1' || text === 'true') as z.ZodType<
        boolean,
        string
      >,
  })
}

interface TextSpec extends Common {
  readonly value: string
  readonly allowed: string
  readonly pattern: RegExp
}

/** A text of a certain form. */
export function text(flag: string, spec: TextSpec & { readonly default: string }): Option<string>
export function text(flag: string, spec: TextSpec): Option<string | undefined>
export function text(
  flag: string,
  spec: TextSpec & { readonly default?: string },
): Option<string | undefined> {
  return row<string | undefined>(flag, spec, {
    value: spec.value,
    allowed: spec.allowed,
    default: spec.default,
    defaultText: spec.default,
    schema: () => z.string().regex(spec.pattern),
  })
}

/** The path of a file or folder. Whether it exists is the business of who opens it. */
export function path(flag: string, spec: Common & { readonly value?: string }): Option<string | undefined> {
  return text(flag, { value: 'file', allowed: 'a path', pattern: /^.+$/, ...spec })
}

/** A URL with one of the schemes `of` (`unix:` takes a path). Kept as text. */
export function url(
  flag: string,
  spec: Common & { readonly of: readonly string[] },
): Option<string | undefined> {
  const examples = spec.of.map((scheme) => (scheme === 'unix' ? 'unix:/path' : `${scheme}://host:port`))
  return row<string | undefined>(flag, spec, {
    value: 'url',
    allowed: examples.join(', '),
    default: undefined,
    schema: () => z.string().refine((given) => isUrl(given, spec.of)),
  })
}

function isUrl(given: string, schemes: readonly string[]): boolean {
  const unixPath = /^unix:(?:\/\/)?(\/.+)$/.exec(given)
  if (unixPath !== null) return schemes.includes('unix')
  if (!URL.canParse(given)) return false
  const { protocol, hostname } = new URL(given)
  return protocol !== 'unix:' && schemes.includes(protocol.slice(0, -1)) && hostname !== ''
}

/** Where to listen: `host:port`, `[::1]:port`, or `unix:/path` where `unix` is set. Port 0: any free one. */
export function address(
  flag: string,
  spec: Common & { readonly unix: boolean },
): Option<Address | undefined> {
  return row<Address | undefined>(flag, spec, {
    value: spec.unix ? 'host:port|unix:path' : 'host:port',
    allowed: spec.unix ? 'host:port, [ipv6]:port or unix:/path' : 'host:port or [ipv6]:port',
    default: undefined,
    schema: () => parsed(parseAddress).refine((found) => spec.unix || found.is === 'tcp'),
  })
}

/** Any text form of one's own. `parse` answers undefined to what is not allowed. */
export function custom<T>(
  flag: string,
  spec: Common & {
    readonly value: string
    readonly allowed: string
    readonly parse: (text: string) => T | undefined
  },
): Option<T | undefined> {
  return row<T | undefined>(flag, spec, {
    value: spec.value,
    allowed: spec.allowed,
    default: undefined,
    schema: () => parsed(spec.parse),
  })
}

/** May be given more than once. */
export function repeated<T>(
  option: Option<T>,
  defaults: readonly NonNullable<T>[] = [],
): Option<readonly NonNullable<T>[]> {
  return { ...option, default: defaults, repeatable: true }
}

/** Must be given. */
export function required<T>(option: Option<T>): Option<NonNullable<T>> {
  return { ...option, default: undefined as never, required: true }
}
