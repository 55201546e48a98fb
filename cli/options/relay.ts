/** Options of `relay`. The type is what relay/server/run.ts gets. */
import { parseRedisUrl, redisUrlForms } from '../../relay/directory/redis-url.ts'
import { address, bytes, choice, custom, duration, integer, path, repeated, toggle, url } from './kinds.ts'
import type { OptionsOf, OptionTable } from './option.ts'
import { logOptions, relaySchemes, secretFile, timeOptions } from './shared.ts'

const MiB = 1024 * 1024

export const relayOptions = {
  listen: repeated(
    address('--listen', {
      says: 'where links, WebSockets and HTTP are accepted (default 127.0.0.1:7100)',
      unix: true,
    }),
    [{ is: 'tcp', host: '127.0.0.1', port: 7100 }],
  ),
  advertise: repeated(
    url('--advertise', {
      says: 'URL by which endpoints reach this relay (default: what it listens on)',
      of: relaySchemes,
    }),
  ),
  redis: custom('--redis', {
    says: 'directory shared with other relays; absent: memory, for one relay. A password belongs into SLR_REDIS or --redis-password-file',
    value: 'url',
    allowed: redisUrlForms,
    parse: (text) => (parseRedisUrl(text) === undefined ? undefined : text),
  }),
  redisPasswordFile: path('--redis-password-file', {
    says: 'file with the password of --redis, mode 0600; goes before one in the URL',
  }),
  redisCa: path('--redis-ca', {
    says: 'PEM file of the private CA that signed Redis’s certificate; absent: those the system trusts',
  }),
  secretFile,
  tlsCert: path('--tls-cert', { says: 'PEM certificate chain; TCP listeners then speak TLS' }),
  tlsKey: path('--tls-key', { says: 'PEM key of --tls-cert' }),
  plain: toggle('--plain', {
    says: 'allows links without TLS on other addresses than loopback, for a network that is private',
  }),
  metrics: address('--metrics', {
    says: 'serves /metrics, /healthz and /readyz here too; absent: on the listeners only',
    unix: false,
  }),
  ...timeOptions,
  graceMs: duration('--grace', {
    says: 'an address without a link is given up after this long; with --silence it is how long a dead peer goes unnoticed',
    min: 500,
    max: 300_000,
    default: 8_000,
  }),
  maxLinks: integer('--max-links', {
    says: 'links at once, all applications together; each costs a file descriptor',
    min: 2,
    max: 1_000_000,
    default: 10_000,
  }),
  maxUnauthenticated: integer('--max-unauthenticated', {
    says: 'connections at once whose token was not checked yet, half of them from one remote; above, the oldest goes',
    min: 16,
    max: 1_000_000,
    default: 8_192,
  }),
  maxStreams: integer('--max-streams', {
    says: 'streams one endpoint may have open',
    min: 16,
    max: 1_000_000,
    default: 16_384,
  }),
  linkQueueBytes: bytes('--link-queue', {
    says: 'bytes queued for one link; credit is kept below it',
    min: 1 * MiB,
    max: 4096 * MiB,
    default: 64 * MiB,
  }),
  relayQueueBytes: bytes('--relay-queue', {
    says: 'bytes queued for all links together: the memory this relay may take',
    min: 16 * MiB,
    max: 1024 * 1024 * MiB,
    default: 1024 * MiB,
  }),
  controlFramesPerSecond: integer('--control-frames', {
    says: 'frames other than data one link may send a second; all its streams resuming at once are allowed for',
    min: 100,
    max: 10_000_000,
    default: 100_000,
  }),
  drainMs: duration('--drain', {
    says: 'after SIGTERM endpoints have this long to move away',
    min: 0,
    max: 600_000,
    default: 10_000,
  }),
  workers: integer('--workers', {
    says: 'relay processes on this machine, each a node of its own on the next port of --listen, --advertise and --metrics; more than one needs --redis',
    min: 1,
    max: 256,
    default: 1,
  }),
  classes: choice('--classes', {
    value: 'class',
    says: 'what this relay wants to be home for, urgent streams, bulk, or both; endpoints of the other class are sent to other relays; one for bulk lowers its own priority (nice 10)',
    of: ['both', 'urgent', 'bulk'],
    default: 'both',
  }),
  worker: toggle('--worker', { says: 'is a worker: options come from the parent', hidden: true }),
  lifeline: toggle('--lifeline', { says: 'ends when stdin ends', hidden: true }),
  announce: toggle('--announce', {
    says: 'writes one JSON line {"listening":[urls]} to stdout when ready',
    hidden: true,
  }),
  ...logOptions,
} satisfies OptionTable

export type RelayOptions = OptionsOf<typeof relayOptions>
