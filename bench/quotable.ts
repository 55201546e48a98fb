/** Whether a result may be quoted, and why not. Pure. */
import type { Row, Verdict } from './bench.ts'
import { type BenchOptions, QUOTABLE } from './options.ts'

type Asked = Pick<BenchOptions, 'isQuick' | 'against' | 'only' | 'seconds' | 'noiseCores'>

/**
 * Empty: it may. `lacks`: what this run could not make: figures for which a program is not there, verdicts that the
 * kept result has.
 */
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

/**
 * Goals of which nothing is known now, and something in the kept result: a rival has died or is absent, and the kept
 * one shall not give way to that. `kept`: its figures judged by the goals of today. Pure.
 */
export function lostVerdicts(now: readonly Verdict[], kept: readonly Verdict[]): readonly string[] {
  const known = new Set(kept.filter(({ is }) => is !== 'unknown').map(({ goal }) => goal))
  return now
    .filter(({ goal, is }) => is === 'unknown' && known.has(goal))
    .map(({ goal, says }) => `${goal}: ${says}, and the kept result has it`)
}
