/** Wall time with the relay against without it, pair by pair. Used by the benches with Spark. */
import type { Rows } from '../bench.ts'
import { type PairedRatio, pairedRatio } from '../measure/statistics.ts'

export interface PairedWall {
  readonly ratio: PairedRatio
  /** In words: median, quartiles, pairs. */
  readonly says: string
}

/** Of the figure `wallS`. Undefined when there is no pair. */
export function pairedWall(rows: Rows, ours: string, theirs: string): PairedWall | undefined {
  const wall = (name: string): number[] =>
    rows.row(name)?.samples.map((sample) => sample.wallS ?? Number.NaN) ?? []
  const ratio = pairedRatio(wall(ours), wall(theirs))
  if (ratio.pairs === 0) return undefined
  const quartiles = `${ratio.lowerQuartile.toFixed(3)} to ${ratio.upperQuartile.toFixed(3)}`
  return { ratio, says: `${ratio.median.toFixed(3)} ×, quartiles ${quartiles}, ${ratio.pairs} pairs` }
}
