import { describe, expect, it } from 'vitest'
import {
  goAwayReasons,
  placementReasons,
  RelayMetrics,
  sniffFailures,
} from '../../../relay/server/metrics.ts'
import { createRegistry } from '../../../relay/server/prometheus.ts'
import { closeReasons, resetReasons } from '../../../relay/wire/errors.ts'

describe('metrics', () => {
  it('hold a counter at 0 for every reason of every closed list, before anything happened', async () => {
    const text = await createRegistry(new RelayMetrics()).metrics()
    const lines = new Set(text.split('\n'))
    for (const reason of Object.keys(closeReasons)) {
      expect(lines).toContain(`slr_relay_closes_total{reason="${reason}"} 0`)
      expect(lines).toContain(`slr_relay_refusals_total{reason="${reason}"} 0`)
    }
    for (const reason of Object.keys(resetReasons)) {
      expect(lines).toContain(`slr_relay_resets_total{reason="${reason}"} 0`)
      expect(lines).toContain(`slr_relay_resets_forwarded_total{reason="${reason}"} 0`)
    }
    for (const reason of sniffFailures) {
      expect(lines).toContain(`slr_relay_sniff_failures_total{reason="${reason}"} 0`)
    }
    for (const why of placementReasons) expect(lines).toContain(`slr_relay_placements_total{why="${why}"} 0`)
    for (const why of goAwayReasons) expect(lines).toContain(`slr_relay_go_aways_total{why="${why}"} 0`)
    for (const state of ['attached', 'visiting']) {
      for (const trafficClass of ['urgent', 'bulk']) {
        expect(lines).toContain(`slr_relay_links{class="${trafficClass}",state="${state}"} 0`)
      }
    }
  })

  it('show every figure of RelayMetrics as it stands at the scrape', async () => {
    const metrics = new RelayMetrics()
    const registry = createRegistry(metrics)
    // Each figure gets a number of its own; each must be found in the text.
    const expected = new Set<number>()
    let next = 1_000_003
    const fill = (holder: Record<string, unknown>): void => {
      for (const [name, value] of Object.entries(holder)) {
        if (typeof value === 'object' && value !== null) fill(value as Record<string, unknown>)
        else {
          holder[name] = typeof value === 'function' ? fixed(next) : next
          expected.add(next)
          next += 1
        }
      }
    }
    fill(metrics as unknown as Record<string, unknown>)
    expect(expected.size).toBeGreaterThan(60)
    for (const text of [await registry.metrics(), await registry.metrics()]) {
      const found = new Set(text.split('\n').map((line) => Number(line.split(' ').at(-1))))
      expect([...expected].filter((value) => !found.has(value))).toEqual([])
    }
  })

  it('label nothing by application, address or remote', async () => {
    const text = await createRegistry(new RelayMetrics()).metrics()
    const labels = new Set(
      [...text.matchAll(/^slr_\w+\{([^}]*)\}/gm)].flatMap(([, inside]) =>
        [...(inside as string).matchAll(/(\w+)=/g)].map(([, name]) => name),
      ),
    )
    expect([...labels].sort()).toEqual(['class', 'command', 'reason', 'result', 'state', 'status', 'why'])
  })

  it('of two relays in one process do not mix', async () => {
    const one = new RelayMetrics()
    const first = createRegistry(one)
    const second = createRegistry(new RelayMetrics())
    one.redirects = 7
    expect(await first.metrics()).toContain('slr_relay_redirects_total 7')
    expect(await second.metrics()).toContain('slr_relay_redirects_total 0')
  })
})

function fixed(value: number): () => number {
  return () => value
}
