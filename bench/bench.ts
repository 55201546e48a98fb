/** What a bench is: one question, who answers it, how one run goes, and what has to be reached. */
import type { Contestant } from './contestants/contestant.ts'
import type { Sample } from './measure/sample.ts'
import type { Summary } from './measure/statistics.ts'
import type { Testbed } from './testbed/testbed.ts'

export interface Column {
  /** Name of the figure in a sample. */
  readonly key: string
  /** Head of the column, with the unit. */
  readonly head: string
  readonly digits: number
  readonly better: 'less' | 'more'
}

/** `unknown`: what it compares with is absent. */
export interface Verdict {
  readonly goal: string
  readonly is: 'met' | 'missed' | 'unknown' | 'report'
  /** The figure, in words. */
  readonly says: string
}

export interface Row {
  readonly name: string
  readonly note: string
  readonly isOurs: boolean
  /** Absent or died: why; then there are no figures. */
  readonly empty?: string
  readonly figures: Readonly<Record<string, Summary>>
  /** One record of figures a run, in the order of the runs. */
  readonly samples: readonly Sample[]
  /** Runs that others disturbed and that were made again. */
  readonly repeated: number
  /** Runs that were still disturbed when no repeat was left: their figures count, and this says so. */
  readonly noisy: number
}

export interface Window {
  readonly seconds: number
}

export interface Bench {
  readonly name: string
  readonly question: string
  readonly setup: string
  readonly contestants: readonly Contestant[]
  readonly columns: readonly Column[]
  /** The column of the plot. Default: the first. */
  readonly plot?: string
  /** Round trip to put between, ms. Absent: no toxiproxy at all. */
  readonly roundTripMs?: number
  /** Programs without which nobody can take part. Default: the load generator. */
  readonly needs?: readonly string[]
  /** Figures that cannot be made without a program, by its name; the others are made all the same. */
  readonly without?: Readonly<Record<string, string>>
  /** What one run measures, in words. Default: `S s each`. */
  window?(seconds: number): string
  /** One run on a fresh testbed. */
  measure(contestant: Contestant, bed: Testbed, window: Window): Promise<Sample>
  judge(rows: Rows): readonly Verdict[]
  /** Part of `--quick`. */
  readonly isQuick?: boolean
  /** Runs that are asked for instead of the command line's, for benches of minutes. */
  readonly runs?: number
}

/** Programs that every contestant of a bench needs. */
export function needsOf(bench: Pick<Bench, 'needs'>): readonly string[] {
  return bench.needs ?? ['bench-load']
}

/** The rows of a bench by name, for judges. */
export class Rows {
  readonly all: readonly Row[]
  constructor(all: readonly Row[]) {
    this.all = all
  }
  row(name: string): Row | undefined {
    const row = this.all.find((one) => one.name === name)
    return row === undefined || row.empty !== undefined ? undefined : row
  }
  /** A median, or undefined when there is none. */
  median(name: string, key: string): number | undefined {
    return this.row(name)?.figures[key]?.median
  }
}

/** `1 run`, `5 runs`. */
export function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

const short = (value: number): string => String(Number(value.toPrecision(3)))

/** Ours divided by a rival's is at most, or at least, `limit`. */
export function ratioGoal(
  rows: Rows,
  goal: { says: string; key: string; ours?: string; rival: string; rivalKey?: string } & (
    | { atMost: number }
    | { atLeast: number }
  ),
): Verdict {
  const mine = rows.median(goal.ours ?? 'ours', goal.key)
  const theirs = rows.median(goal.rival, goal.rivalKey ?? goal.key)
  if (mine === undefined || theirs === undefined) {
    return {
      goal: goal.says,
      is: 'unknown',
      says: `no figure of ${mine === undefined ? 'ours' : goal.rival}`,
    }
  }
  const ratio = mine / theirs
  const isMet = 'atMost' in goal ? ratio <= goal.atMost : ratio >= goal.atLeast
  return {
    goal: goal.says,
    is: isMet ? 'met' : 'missed',
    says: `${short(ratio)} × ${goal.rival} (${short(mine)} to ${short(theirs)})`,
  }
}

/** Our own figure is at most, or at least, `limit`: the median. */
export function limitGoal(
  rows: Rows,
  goal: { says: string; key: string; ours?: string } & ({ atMost: number } | { atLeast: number }),
): Verdict {
  const mine = rows.median(goal.ours ?? 'ours', goal.key)
  if (mine === undefined) return { goal: goal.says, is: 'unknown', says: 'no figure of ours' }
  const isMet = 'atMost' in goal ? mine <= goal.atMost : mine >= goal.atLeast
  return { goal: goal.says, is: isMet ? 'met' : 'missed', says: short(mine) }
}

/** A bound that no run may break: "no …", and what credit promises. The worst run is judged. */
export function boundGoal(
  rows: Rows,
  goal: { says: string; key: string; ours?: string; atMost: number },
): Verdict {
  const figure = rows.row(goal.ours ?? 'ours')?.figures[goal.key]
  if (figure === undefined) return { goal: goal.says, is: 'unknown', says: 'no figure of ours' }
  return {
    goal: goal.says,
    is: figure.max <= goal.atMost ? 'met' : 'missed',
    says: `${short(figure.max)} in the worst of ${countOf(figure.runs, 'run')}`,
  }
}

/** A goal that is to be reported, not reached. */
export function reportGoal(rows: Rows, goal: { says: string; key: string; ours?: string }): Verdict {
  const mine = rows.median(goal.ours ?? 'ours', goal.key)
  return {
    goal: goal.says,
    is: mine === undefined ? 'unknown' : 'report',
    says: mine === undefined ? 'no figure' : short(mine),
  }
}
