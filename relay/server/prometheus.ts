/**
 * A relay's figures as Prometheus metrics, read out only when someone scrapes. Labels are
 * classes, states and reasons out of closed lists: never an application, an address or a remote.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { RelayMetrics } from './metrics.ts'

/** Label values and a number, as they stand now. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]
type Samples = () => Iterable<Sample>

/** A registry of its own, so that two relays of one process do not mix. */
export function createRegistry(metrics: RelayMetrics): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const counter = (name: string, help: string, labelNames: string[], samples: Samples): void => {
    new Counter({
      name: `slr_relay_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset()
        for (const [labels, value] of samples()) this.inc(labels, value)
      },
    })
  }
  const gauge = (name: string, help: string, labelNames: string[], samples: Samples): void => {
    new Gauge({
      name: `slr_relay_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect() {
        for (const [labels, value] of samples()) this.set(labels, value)
      },
    })
  }

  gauge('links', 'Links past their handshake.', ['class', 'state'], () => linkSamples(metrics))
  gauge(
    'unauthenticated_connections',
    'Connections that have not said who they are.',
    [],
    one(() => metrics.unauthenticated),
  )
  gauge(
    'missing_addresses',
    'Addresses in grace, whose link was lost.',
    ['class'],
    by('class', metrics.missing),
  )
  gauge('routes', 'Routes: pairs of labels on links.', ['class'], by('class', metrics.routes))
  gauge('queued_bytes', 'Bytes that wait for slow links.', ['class'], by('class', metrics.queuedBytes))
  gauge(
    'pinned_bytes',
    'Read buffers in use, whole buffers counted.',
    [],
    one(() => metrics.pinnedBytes()),
  )
  gauge(
    'parked_opens',
    'OPENs and RESUMEs that wait for an address to come back.',
    [],
    one(() => metrics.parkedOpens),
  )

  counter(
    'accepted_total',
    'Connections accepted.',
    [],
    one(() => metrics.accepted),
  )
  counter(
    'handshakes_total',
    'Links that finished their handshake.',
    ['class'],
    by('class', metrics.handshakes),
  )
  counter('opens_total', 'Streams opened and let through.', ['class'], by('class', metrics.opens))
  counter(
    'forwarded_bytes_total',
    'Payload bytes of streams forwarded.',
    ['class'],
    by('class', metrics.forwardedBytes),
  )
  counter('forwarded_frames_total', 'Frames forwarded.', ['class'], by('class', metrics.forwardedFrames))
  counter(
    'dropped_bytes_total',
    'Payload bytes that came for a route that was gone.',
    ['class'],
    by('class', metrics.droppedBytes),
  )
  counter('closes_total', 'Links closed after their handshake.', ['reason'], by('reason', metrics.closes))
  counter(
    'refusals_total',
    'Links refused before their handshake was done.',
    ['reason'],
    by('reason', metrics.refusals),
  )
  counter('resets_total', 'Streams reset by this relay.', ['reason'], by('reason', metrics.resets))
  counter(
    'resets_forwarded_total',
    'Resets of endpoints passed on.',
    ['reason'],
    by('reason', metrics.resetsForwarded),
  )
  counter(
    'resumes_total',
    'Streams resumed, by the answer of their acceptor.',
    ['status'],
    by('status', metrics.resumes),
  )
  counter(
    'redirects_total',
    'MOVED answers.',
    [],
    one(() => metrics.redirects),
  )
  counter(
    'placements_total',
    'Endpoints sent to another relay when they wanted to attach here.',
    ['why'],
    by('why', metrics.placements),
  )
  counter('go_aways_total', 'Endpoints asked to move to another relay.', ['why'], by('why', metrics.goAways))
  gauge(
    'directory_reachable',
    '1 while the directory can be asked.',
    [],
    one(() => metrics.directoryReachable()),
  )
  counter(
    'directory_commands_total',
    'What the directory was asked; cached lookups cost it nothing.',
    ['command'],
    by('command', metrics.directoryCommands),
  )
  counter('gone_total', 'Addresses given up.', ['why'], by('why', metrics.gone))
  counter(
    'directory_failures_total',
    'Questions that the directory could not answer, or was back too recently to be asked.',
    [],
    one(() => metrics.directoryFailures),
  )
  counter(
    'sniff_failures_total',
    'Connections closed before they became a link or a request.',
    ['reason'],
    by('reason', metrics.sniffFailures),
  )
  counter('http_requests_total', 'HTTP requests answered.', ['result'], by('result', metrics.httpRequests))
  return registry
}

function one(value: () => number): Samples {
  return () => [[{}, value()]]
}

/** One sample a key of `numbers`: all are there from the start, also those at 0. */
function by(label: string, numbers: Readonly<Record<string, number>>): Samples {
  return () => Object.entries(numbers).map(([key, value]): Sample => [{ [label]: key }, value])
}

function* linkSamples(metrics: RelayMetrics): Generator<Sample> {
  for (const [trafficClass, states] of Object.entries(metrics.links)) {
    for (const [state, count] of Object.entries(states)) yield [{ class: trafficClass, state }, count]
  }
}
