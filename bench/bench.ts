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
  /** Runs at least, whatever the command line says: goals that compare pair by pair need some. Not when it is quick. */
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
  /** For the verdict that compares with it: that there is no figure, and why where that is known. */
  whyNone(name: string): string {
    const why = this.all.find((one) => one.name === name)?.empty
    return `no figure of ${name}${why === undefined ? '' : ` (${why})`}`
  }
}

/** `1 run`, `5 runs`. */
export function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
