/** One figure against another, run by run. Used by benches whose runs drift. */
import { countOf, type Rows } from '../bench.ts'
import { type PairedRatio, pairedRatio } from '../measure/statistics.ts'

export interface PairedRuns {
  readonly ratio: PairedRatio
  /** In words: median, quartiles, pairs. */
  readonly says: string
}

interface Figure {
  readonly row: string
  readonly key: string
}

/** Undefined when there is no pair. */
export function pairedRuns(rows: Rows, above: Figure, below: Figure): PairedRuns | undefined {
  const values = ({ row, key }: Figure): number[] =>
    rows.row(row)?.samples.map((sample) => sample[key] ?? Number.NaN) ?? []
  const ratio = pairedRatio(values(above), values(below))
  if (!Number.isFinite(ratio.median)) return undefined
  const quartiles = `${ratio.lowerQuartile.toFixed(3)} to ${ratio.upperQuartile.toFixed(3)}`
  return {
    ratio,
    says: `${ratio.median.toFixed(3)} ×, quartiles ${quartiles}, ${countOf(ratio.pairs, 'pair')}`,
  }
}
