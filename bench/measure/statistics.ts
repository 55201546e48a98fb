/** What is said of several runs. Pure. Used by the runner and by goals. */

export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly runs: number
}

/** The value below which `share` of the values lie, between two of them linearly. NaN for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const below = sorted[Math.floor(at)] ?? Number.NaN
  const above = sorted[Math.ceil(at)] ?? Number.NaN
  return below + (above - below) * (at - Math.floor(at))
}

export function summarise(values: readonly number[]): Summary {
  return {
    median: quantile(values, 0.5),
    min: quantile(values, 0),
    max: quantile(values, 1),
    runs: values.length,
  }
}

/** Summaries of each figure that every one of the samples has. */
export function summariseSamples(
  samples: readonly Readonly<Record<string, number>>[],
): Record<string, Summary> {
  const summaries: Record<string, Summary> = {}
  for (const key of Object.keys(samples[0] ?? {})) {
    const values = samples.map((sample) => sample[key])
    if (values.every((value): value is number => value !== undefined && Number.isFinite(value))) {
      summaries[key] = summarise(values)
    }
  }
  return summaries
}

export interface PairedRatio {
  readonly median: number
  readonly lowerQuartile: number
  readonly upperQuartile: number
  /** (upper - lower quartile) / median. */
  readonly spread: number
  readonly pairs: number
}

/** Ratios of runs that were made in turn, pair by pair: what drifts slowly falls out. */
export function pairedRatio(above: readonly number[], below: readonly number[]): PairedRatio {
  const ratios: number[] = []
  for (const [at, value] of above.entries()) {
    const other = below[at]
    if (other !== undefined) ratios.push(value / other)
  }
  const median = quantile(ratios, 0.5)
  const lowerQuartile = quantile(ratios, 0.25)
  const upperQuartile = quantile(ratios, 0.75)
  return {
    median,
    lowerQuartile,
    upperQuartile,
    spread: (upperQuartile - lowerQuartile) / median,
    pairs: ratios.length,
  }
}
