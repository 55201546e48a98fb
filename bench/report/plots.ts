/** One result as a picture: SVG text, drawn by Observable Plot on a document in memory. Pure. */
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import type { BenchResult } from '../result.ts'

interface Bar {
  readonly name: string
  readonly median: number
  readonly min: number
  readonly max: number
  readonly isOurs: boolean
}

/** Medians as bars, from the lowest to the highest run as lines. Logarithmic where a rival is far off. */
export function plotOf(result: BenchResult, key: string): string | undefined {
  const column = result.columns.find((one) => one.key === key)
  const bars: Bar[] = result.rows.flatMap(({ name, isOurs, figures }) => {
    const figure = figures[key]
    return figure === undefined ? [] : [{ name, isOurs, ...figure }]
  })
  if (column === undefined || bars.length === 0) return undefined
  bars.sort((a, b) => a.median - b.median)
  const least = Math.min(...bars.map((bar) => bar.median))
  const most = Math.max(...bars.map((bar) => bar.max))
  const isLog = least > 0 && most / least > 50
  const from = isLog ? 10 ** Math.floor(Math.log10(least)) : 0
  const { document } = parseHTML('<html><body></body></html>')
  const plot = Plot.plot({
    document: document as unknown as NonNullable<Plot.PlotOptions['document']>,
    width: 760,
    height: 60 + bars.length * 24,
    marginLeft: 120,
    x: { label: column.head, grid: true, ...(isLog ? { type: 'log' } : { zero: true }) },
    y: { label: null, domain: bars.map((bar) => bar.name) },
    marks: [
      Plot.barX(bars, {
        y: 'name',
        x1: from,
        x2: 'median',
        fill: (bar: Bar) => (bar.isOurs ? '#2563eb' : '#9ca3af'),
      }),
      Plot.ruleY(bars, { y: 'name', x1: 'min', x2: 'max', stroke: '#111827', strokeWidth: 2 }),
      Plot.text(bars, {
        y: 'name',
        x: 'max',
        text: (bar: Bar) => bar.median.toFixed(column.digits),
        textAnchor: 'start',
        dx: 6,
      }),
    ],
  })
  return plot.outerHTML
}
