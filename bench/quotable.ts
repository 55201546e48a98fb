/** Whether a result may be quoted, and why not. Pure. */
import type { Row } from './bench.ts'
import { type BenchOptions, QUOTABLE } from './options.ts'

type Asked = Pick<BenchOptions, 'isQuick' | 'against' | 'only' | 'seconds' | 'noiseCores'>

/** Empty: it may. `lacks`: figures that could not be made, for a program is not there. */
export function whyUnquotable(
  asked: Asked,
  runs: number,
  rows: readonly Row[],
  lacks: readonly string[] = [],
): readonly string[] {
  const hasOurs = rows.some((row) => row.isOurs && Object.keys(row.figures).length > 0)
  return [
    ...(asked.isQuick ? ['--quick'] : []),
    ...(asked.against === undefined ? [] : ['--against']),
    ...(asked.only.length === 0 ? [] : ['--only']),
    ...(runs < QUOTABLE.runs ? [`fewer than ${QUOTABLE.runs} runs`] : []),
    ...(asked.seconds < QUOTABLE.seconds ? [`windows below ${QUOTABLE.seconds} s`] : []),
    ...(asked.noiseCores > QUOTABLE.noiseCores ? [`others may keep over ${QUOTABLE.noiseCores} cores`] : []),
    ...(hasOurs ? [] : ['nothing of ours was measured']),
    ...lacks,
  ]
}
