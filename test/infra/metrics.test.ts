/** What infra/ and docs/runbook.md name must be there: metrics in a real scrape, labels, reasons, alerts. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { relayOptions } from '../../cli/options/relay.ts'
import { sniffFailures } from '../../relay/server/metrics.ts'
import { closeReasons, resetReasons } from '../../relay/wire/errors.ts'
import { startRelayWorld } from '../helper/relay-world.ts'

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')

const alerts = read('infra/alerts.yaml')
const dashboard = JSON.parse(read('infra/grafana-dashboard.json')) as {
  panels: { title: string; type: string; targets?: { expr: string }[] }[]
}
const runbook = read('docs/runbook.md')

const alertNames = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name as string)
const alertExpressions = [...alerts.matchAll(/^ +expr: (.+)$/gm)].map(
  ([, expression]) => expression as string,
)
const panelExpressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
/** Prometheus makes this one of each scrape. */
const ofPrometheus = new Set(['up'])

/** Names with the labels and values that an expression matches on. */
function selectors(expression: string): { metric: string; labels: [string, string][] }[] {
  const found: { metric: string; labels: [string, string][] }[] = []
  for (const [, metric = '', inside = ''] of expression.matchAll(
    /\b((?:slr_|process_|nodejs_)\w+|up)\b(?:\{([^}]*)\})?/g,
  )) {
    const labels = [...inside.matchAll(/(\w+)=~?"([^"]*)"/g)].map(
      ([, name = '', value = '']): [string, string] => [name, value],
    )
    found.push({ metric, labels })
  }
  return found
}

async function scrape(): Promise<string> {
  const world = await startRelayWorld()
  onTestFinished(() => world.stop())
  const link = await world.hello()
  await link.frame(0x02)
  return await (await fetch(`http://127.0.0.1:${world.port}/metrics`)).text()
}

describe('what infra/ names', () => {
  it('has an alert and a panel to look at', () => {
    expect(alertNames.length).toBeGreaterThan(15)
    expect(alertExpressions).toHaveLength(alertNames.length)
    expect(panelExpressions.length).toBeGreaterThan(25)
  })

  it('is in a real scrape: every metric, and every label value that is matched on', async () => {
    const text = await scrape()
    const names = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name))
    const samples = text.split('\n').filter((line) => line.startsWith('slr_'))
    for (const expression of [...alertExpressions, ...panelExpressions]) {
      const all = selectors(expression)
      expect(all.length, expression).toBeGreaterThan(0)
      for (const { metric, labels } of all) {
        if (ofPrometheus.has(metric)) continue
        expect(names, expression).toContain(metric)
        for (const [label, value] of labels) {
          if (label === 'instance' || label === 'job') continue // the scraper's
          for (const one of value.split('|')) {
            const isThere = samples.some(
              (line) => line.startsWith(`${metric}{`) && line.includes(`${label}="${one}"`),
            )
            expect(isThere, `${metric}{${label}="${one}"} of ${expression}`).toBe(true)
          }
        }
      }
    }
  })

  it('shows every metric of ours on the dashboard', async () => {
    const text = await scrape()
    const ours = [...text.matchAll(/^# TYPE (slr_\S+)/gm)].map(([, name]) => name as string)
    const shown = new Set(
      panelExpressions.flatMap((expression) => selectors(expression).map(({ metric }) => metric)),
    )
    expect(ours.filter((name) => !shown.has(name))).toEqual([])
  })

  it('gives every alert its own entry of the runbook, and links to it', () => {
    const headings = new Set([...runbook.matchAll(/^### (\w+)$/gm)].map(([, heading]) => heading))
    expect(alertNames.filter((name) => !headings.has(name))).toEqual([])
    const links = [...alerts.matchAll(/runbook: docs\/runbook\.md#(\w+)/g)].map(([, anchor]) => anchor)
    expect(links).toEqual(alertNames.map((name) => name.toLowerCase()))
  })
})

describe('the alerts', () => {
  it('are looked at more often than what they tell of lasts', () => {
    expect(alerts).toMatch(/^ {4}interval: 5s$/m)
    const [, missing = ''] = /- alert: EndpointsMissing\n([\s\S]*?)- alert:/.exec(alerts) ?? []
    // An address is missing for grace at most, 8 s.
    expect(missing).not.toMatch(/\bfor:/)
  })
})

describe('the systemd unit', () => {
  it('starts a relay by options that there are', () => {
    const unit = read('infra/spark-lambda-relay.service')
    const [, line = ''] =
      /^ExecStart=(?:.*\\\n)*.*$/m.exec(unit)?.[0].match(/spark-lambda-relay (relay [\s\S]*)/) ?? []
    const words = line.replaceAll('\\\n', ' ').trim().split(/\s+/)
    expect(words.shift()).toBe('relay')
    const flags = new Set(Object.values(relayOptions).map(({ flag }) => flag))
    const given = words.filter((word) => word.startsWith('--'))
    expect(given.length).toBeGreaterThan(7)
    expect(given.filter((word) => !flags.has(word))).toEqual([])
  })
})

describe('the runbook', () => {
  const rowsUnder = (heading: string): Set<string> => {
    const [, section = ''] = runbook.split(`\n## ${heading}\n`)
    const [body = ''] = section.split('\n## ')
    return new Set([...body.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name]) => name as string))
  }

  it('has an entry for each reason why a link is closed or refused, and no other', () => {
    expect([...rowsUnder('Links: closed and refused')].sort()).toEqual(Object.keys(closeReasons).sort())
  })

  it('has an entry for each reason why a stream is reset, and no other', () => {
    expect([...rowsUnder('Streams: reset')].sort()).toEqual(Object.keys(resetReasons).sort())
  })

  it('has an entry for each reason why a connection became nothing, and no other', () => {
    expect([...rowsUnder('Connections that became nothing')].sort()).toEqual([...sniffFailures].sort())
  })
})
