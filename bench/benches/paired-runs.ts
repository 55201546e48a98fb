/** One figure against another, run by run. Used by benches whose runs drift. Pure. */
import { countOf, type Rows, type Verdict } from '../bench.ts'
import { type PairedRatio, pairedRatio } from '../measure/statistics.ts'

/** Quartiles of paired ratios that lie further apart than this share of the median resolve nothing. */
export const SPREAD = 0.1

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

export interface PairedGoal {
  readonly says: string
  readonly above: Figure
  readonly below: Figure
  readonly isMet: (median: number) => boolean
  /** Fewer pairs than these resolve nothing. Default: none are too few. */
  readonly leastPairs?: number
}

/** Judges the median of the pairs. What is not resolved is not reached: too few pairs, or too wide a spread. */
export function pairedGoal(rows: Rows, goal: PairedGoal): Verdict {
  const pairs = pairedRuns(rows, goal.above, goal.below)
  if (pairs === undefined) return unpaired(rows, goal)
  const { ratio, says } = pairs
  const least = goal.leastPairs ?? 0
  if (ratio.pairs < least)
    return { goal: goal.says, is: 'missed', says: `${says}: unresolved, fewer than ${least} pairs` }
  if (ratio.spread > SPREAD)
    return { goal: goal.says, is: 'missed', says: `${says}: unresolved, they lie over 10 % apart` }
  return { goal: goal.says, is: goal.isMet(ratio.median) ? 'met' : 'missed', says }
}

/** The same, to be reported and not reached. */
export function reportPairs(rows: Rows, goal: Pick<PairedGoal, 'says' | 'above' | 'below'>): Verdict {
  const pairs = pairedRuns(rows, goal.above, goal.below)
  return pairs === undefined ? unpaired(rows, goal) : { goal: goal.says, is: 'report', says: pairs.says }
}

function unpaired(rows: Rows, { says, above, below }: Pick<PairedGoal, 'says' | 'above' | 'below'>): Verdict {
  const none = [above.row, below.row].find((name) => rows.row(name) === undefined) ?? above.row
  return { goal: says, is: 'unknown', says: rows.whyNone(none) }
}
