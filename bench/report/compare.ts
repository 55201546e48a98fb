/** The working tree divided by another commit, pair by pair: what `--against` is asked for. Pure. */
import { Rows } from '../bench.ts'
import { pairedRuns } from '../benches/paired-runs.ts'
import type { BenchResult } from '../result.ts'

/** A line for each column of each of ours that has its like at `ref`. */
export function comparedWith(ref: string, result: Pick<BenchResult, 'columns' | 'rows'>): readonly string[] {
  const rows = new Rows(result.rows)
  return result.rows.flatMap(({ name }) =>
    result.columns.flatMap(({ key, head }) => {
      const pairs = pairedRuns(rows, { row: name, key }, { row: `${name}@${ref}`, key })
      return pairs === undefined ? [] : [`${name} / ${name}@${ref}, ${head}: ${pairs.says}`]
    }),
  )
}
