/**
 * Options that several commands share. Used by the tables beside this file.
 */
import { parseVirtualAddress } from '../../relay/wire/virtual-address.ts'
import { bytes, choice, custom, duration, integer, path, repeated, text, url } from './kinds.ts'
import type { OptionTable } from './option.ts'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

/** Schemes by which an endpoint reaches a relay. */
export const relaySchemes = ['tcp', 'tls', 'ws', 'wss', 'unix'] as const

export const logOptions = {
  logLevel: choice('--log-level', {
    value: 'level',
    says: 'how much is logged to stderr',
    of: ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
  }),
  logFormat: choice('--log-format', {
    value: 'format',
    says: 'JSON lines, or text for people; auto is text on a terminal',
    of: ['auto', 'json', 'pretty'],
    default: 'auto',
  }),
} satisfies OptionTable

/** How long silence is borne; the same on relays and endpoints, or they disagree about who is lost. */
export const timeOptions = {
  handshakeMs: duration('--handshake', {
    says: 'how long a new link may take to say who it is',
    min: 100,
    max: 60_000,
    default: 5_000,
  }),
  keepaliveMs: duration('--keepalive', {
    says: 'an idle link sends a keepalive this often; at most half of --silence',
    min: 100,
    max: 60_000,
    default: 2_000,
  }),
  silenceMs: duration('--silence', {
    says: 'a link that brings no byte for this long is lost',
    min: 500,
    max: 180_000,
    default: 6_000,
  }),
} satisfies OptionTable

/** What an endpoint (agent, shim, exec) may use and bear. */
export const endpointOptions = {
  ...timeOptions,
  lingerMs: duration('--linger', {
    says: 'streams wait this long for a relay to come back before they are reset',
    min: 1_000,
    max: 600_000,
    default: 45_000,
  }),
  windowBytes: bytes('--window', {
    says: 'bytes a peer may send on a new stream before it waits for credit; a stream moves at most one window a round trip until it has grown',
    min: 64 * KiB,
    max: 16 * MiB,
    default: 256 * KiB,
  }),
  budgetBytes: bytes('--budget', {
    says: 'credit that all streams together may hold out, a class; received bytes never take more memory',
    min: 1 * MiB,
    max: 4 * GiB,
    default: 32 * MiB,
  }),
  sendBudgetBytes: bytes('--send-budget', {
    says: 'bytes kept until the peer acknowledges them, a class; when spent, local sockets are not read',
    min: 1 * MiB,
    max: 4 * GiB,
    default: 32 * MiB,
  }),
} satisfies OptionTable

/** Which relays, and how to trust them. */
export const uplinkOptions = {
  relay: repeated(
    url('--relay', { says: 'a relay to dial; several are tried in random order', of: relaySchemes }),
  ),
  tlsCa: path('--tls-ca', { says: 'PEM file of the private CA that signed the relay’s certificate' }),
} satisfies OptionTable

export const secretFile = path('--secret-file', {
  says: 'keys that sign tokens, a line `name:prefix:base64url-secret` each, mode 0600; SLR_SECRET holds the same text',
})

export const virtualAddress = custom('--address', {
  says: 'the virtual address',
  value: '127.64.x.y',
  allowed: 'an address within 127.64.0.0/10, such as 127.64.0.2',
  parse: parseVirtualAddress,
})

export const application = text('--app', {
  says: 'the application: addresses of one application meet, others do not',
  value: 'name',
  allowed: '1 to 64 letters, digits, dots, underscores and hyphens, a letter or digit first',
  pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
})

export const generation = integer('--generation', {
  says: 'token generation of the address; a higher one takes the address over',
  min: 0,
  max: 2 ** 31 - 1,
  default: 0,
})
