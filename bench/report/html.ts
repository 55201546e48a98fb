/** One page with every result of a machine: plots and tables. Pure. */
import { machineInWords } from '../measure/machine.ts'
import type { BenchResult } from '../result.ts'
import { commitOf, notesOf } from './notes.ts'
import { plotOf } from './plots.ts'
import { tableOf } from './table.ts'

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#111827}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.5rem 0}td,th{padding:.15rem .6rem;text-align:right;border-bottom:1px solid #e5e7eb}
td:first-child,th:first-child,.goals td,.goals th{text-align:left}.met{color:#15803d}.missed{color:#b91c1c}.small{color:#6b7280;font-size:13px}`

/** docs/hot-path.md, as seen from bench/results/MACHINE/. */
const HOT_PATH = '../../../docs/hot-path.md'

export function htmlReport(results: readonly BenchResult[], others: readonly string[]): string {
  const machine = results[0]?.machine
  const head = machine === undefined ? 'No results yet.' : `${machineInWords(machine)}.`
  const left = others.length === 0 ? '' : ` Results of other machines are left out: ${others.join(', ')}.`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>spark-lambda-relay: performance</title><style>${style}</style></head><body>
<h1>Performance</h1><p>${escapeHtml(head + left)} Medians, with the lowest and the highest run.</p>
${goalTable(results)}
${results.map(section).join('\n')}
</body></html>
`
}

/** Every goal in one place, and for a missed one where to read of what bounds it. */
function goalTable(results: readonly BenchResult[]): string {
  const rows = results.flatMap(({ bench, verdicts, commit }) =>
    verdicts.map(({ goal, is, says }) => {
      const link = is === 'missed' ? `, <a href="${HOT_PATH}">why</a>` : ''
      const verdict = `<td class="${is}">${is}${link}</td>`
      const cells = [says, commitOf(commit)].map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')
      return `<tr><td>${escapeHtml(bench)}</td><td>${escapeHtml(goal)}</td>${verdict}${cells}</tr>`
    }),
  )
  if (rows.length === 0) return ''
  return `<table class="goals">${row(['bench', 'goal', 'verdict', 'here', 'commit'], 'th')}${rows.join('\n')}</table>`
}

function row(cells: readonly string[], tag: 'th' | 'td'): string {
  return `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`
}

function section(result: BenchResult): string {
  const [header = [], ...body] = tableOf(result)
  const verdicts = result.verdicts
    .map(({ is, goal, says }) => `<li class="${is}">${is}: ${escapeHtml(goal)}: ${escapeHtml(says)}</li>`)
    .join('')
  const notes = result.rows.map(({ name, note }) => `${name}: ${note}`).join('; ')
  return `<h2>${escapeHtml(result.bench)}</h2><p>${escapeHtml(`${result.question} ${result.setup}.`)}</p>
<ul>${verdicts}</ul>${plotOf(result, result.plot) ?? ''}
<table>${row(header, 'th')}${body.map((cells) => row(cells, 'td')).join('')}</table>
<p class="small">${escapeHtml(`${notes}. ${notesOf(result).join(' ')}`)}</p>`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[sign] ?? '&quot;')
}
