/** One result as a table, for the terminal and for Markdown. Pure. */
import type { Column, Row } from '../bench.ts'
import type { BenchResult } from '../result.ts'

/** `0.54 (0.52–0.58)`: median, and how far the runs lie apart. */
export function cell(row: Row, column: Column): string {
  const figure = row.figures[column.key]
  if (figure === undefined) return ''
  const text = (value: number): string => value.toFixed(column.digits)
  return figure.runs === 1
    ? text(figure.median)
    : `${text(figure.median)} (${text(figure.min)}–${text(figure.max)})`
}

/** Head and body of the table; a row without figures says why. */
export function tableOf(result: Pick<BenchResult, 'columns' | 'rows'>): string[][] {
  const head = ['', ...result.columns.map((column) => column.head)]
  const body = result.rows.map((row) => {
    const name = `${row.name}${row.noisy > 0 ? ` (${row.noisy} noisy)` : ''}`
    if (row.empty !== undefined) return [name, row.empty, ...result.columns.slice(1).map(() => '')]
    return [name, ...result.columns.map((column) => cell(row, column))]
  })
  return [head, ...body]
}

export function terminalTable(result: Pick<BenchResult, 'columns' | 'rows'>): string {
  const table = tableOf(result)
  // What a row without figures says may run on to the right: it makes no column wide.
  const isEmpty = (at: number): boolean => at > 0 && result.rows[at - 1]?.empty !== undefined
  const widths = (table[0] as string[]).map((_, column) =>
    Math.max(...table.map((row, at) => (column > 0 && isEmpty(at) ? 0 : (row[column] ?? '').length))),
  )
  return table
    .map((row) =>
      row.map((text, at) => (at === 0 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0))),
    )
    .map((row) => row.join('  ').trimEnd())
    .join('\n')
}

export function markdownTable(result: Pick<BenchResult, 'columns' | 'rows'>): string {
  const [head = [], ...body] = tableOf(result).map((row) => row.map((text) => text.replaceAll('|', '\\|')))
  const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`
  return [line(head), line(head.map((_, at) => (at === 0 ? '---' : '---:'))), ...body.map(line)].join('\n')
}
