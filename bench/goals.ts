/** What has to be reached: figures of one run of a bench to verdicts. Pure. Pair by pair: benches/paired-runs.ts. */
import { countOf, type Rows, type Verdict } from './bench.ts'

interface RatioGoal {
  readonly says: string
  readonly key: string
  /** Default: `ours`. */
  readonly ours?: string
  readonly rival: string
  /** Default: `key`. */
  readonly rivalKey?: string
}

interface OwnGoal {
  readonly says: string
  readonly key: string
  /** Default: `ours`. */
  readonly ours?: string
}

type Limit = { readonly atMost: number } | { readonly atLeast: number }

const short = (value: number): string => String(Number(value.toPrecision(3)))

/** Ours divided by a rival's is at most, or at least, `limit`: the medians. */
export function ratioGoal(rows: Rows, goal: RatioGoal & Limit): Verdict {
  const compared = ratioOf(rows, goal)
  if ('is' in compared) return compared
  const { ratio, says } = compared
  const isMet = 'atMost' in goal ? ratio <= goal.atMost : ratio >= goal.atLeast
  return { goal: goal.says, is: isMet ? 'met' : 'missed', says }
}

/** The same, to be reported and not reached. */
export function reportRatio(rows: Rows, goal: RatioGoal): Verdict {
  const compared = ratioOf(rows, goal)
  return 'is' in compared ? compared : { goal: goal.says, is: 'report', says: compared.says }
}

function ratioOf(rows: Rows, goal: RatioGoal): Verdict | { readonly ratio: number; readonly says: string } {
  const { key, ours = 'ours', rival, rivalKey = key } = goal
  const mine = rows.median(ours, key)
  const theirs = rows.median(rival, rivalKey)
  if (mine === undefined || theirs === undefined) {
    return { goal: goal.says, is: 'unknown', says: rows.whyNone(mine === undefined ? ours : rival) }
  }
  const ratio = mine / theirs
  return { ratio, says: `${short(ratio)} × ${rival} (${short(mine)} to ${short(theirs)})` }
}

/** Our own figure is at most, or at least, `limit`: the median. */
export function limitGoal(rows: Rows, goal: OwnGoal & Limit): Verdict {
  const { ours = 'ours', key } = goal
  const mine = rows.median(ours, key)
  if (mine === undefined) return { goal: goal.says, is: 'unknown', says: rows.whyNone(ours) }
  const isMet = 'atMost' in goal ? mine <= goal.atMost : mine >= goal.atLeast
  return { goal: goal.says, is: isMet ? 'met' : 'missed', says: short(mine) }
}

/** A bound that no run may break: "no …", and what credit promises. The worst run is judged. */
export function boundGoal(rows: Rows, goal: OwnGoal & { readonly atMost: number }): Verdict {
  const { ours = 'ours', key } = goal
  const figure = rows.row(ours)?.figures[key]
  if (figure === undefined) return { goal: goal.says, is: 'unknown', says: rows.whyNone(ours) }
  return {
    goal: goal.says,
    is: figure.max <= goal.atMost ? 'met' : 'missed',
    says: `${short(figure.max)} in the worst of ${countOf(figure.runs, 'run')}`,
  }
}

/** A figure of ours that is to be reported, not reached. */
export function reportGoal(rows: Rows, goal: OwnGoal): Verdict {
  const { ours = 'ours', key } = goal
  const mine = rows.median(ours, key)
  if (mine === undefined) return { goal: goal.says, is: 'unknown', says: rows.whyNone(ours) }
  return { goal: goal.says, is: 'report', says: short(mine) }
}
