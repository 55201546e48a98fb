/** One result on the terminal. Pure. */
import type { BenchResult } from '../result.ts'
import { comparedWith } from './compare.ts'
import { notesOf } from './notes.ts'
import { terminalTable } from './table.ts'

/** `against`: a commit that the working tree is compared with; goals against rivals say nothing then. */
export function print(result: BenchResult, against?: string): string {
  const why = result.unquotable ?? []
  const stamp = result.isQuotable ? '' : `   NOT QUOTABLE (${why.join('; ')})`
  const verdicts = result.verdicts.filter(({ is }) => against === undefined || is !== 'unknown')
  return [
    `\n${result.bench}: ${result.question}${stamp}`,
    terminalTable(result),
    ...(against === undefined ? [] : comparedWith(against, result)).map((line) => `  ${line}`),
    ...verdicts.map(({ is, goal, says }) => `  ${is.padEnd(7)}  ${goal}: ${says}`),
    ...notesOf(result).map((note) => `  ${note}`),
  ].join('\n')
}
