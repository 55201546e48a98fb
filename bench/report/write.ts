/** Writes the report of one machine: an HTML page beside the results, and docs/performance.md. */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Rows } from '../bench.ts'
import { benches } from '../benches/index.ts'
import { type BenchResult, loadResults } from '../result.ts'
import { htmlReport } from './html.ts'
import { markdownReport } from './markdown.ts'

export interface ReportWish {
  readonly resultsFolder: string
  readonly machineId: string
  /** docs/performance.md */
  readonly markdownFile: string
  /** By `--report`: the page may then lose benches. */
  readonly isAsked?: boolean
}

/** Returns what to say: the files, and what was left as it was. */
export async function writeReport(wish: ReportWish): Promise<readonly string[]> {
  const { results, others } = loadResults(wish.resultsFolder, wish.machineId)
  const order = new Map(benches.map((bench, at) => [bench.name, at]))
  const sorted = [...results]
    .sort((a, b) => (order.get(a.bench) ?? 0) - (order.get(b.bench) ?? 0))
    .map(judgedNow)
  const html = join(wish.resultsFolder, wish.machineId, 'report.html')
  await mkdir(dirname(html), { recursive: true })
  await writeFile(html, htmlReport(sorted, others))
  const lost = benchesShown(wish.markdownFile).filter((name) => !sorted.some(({ bench }) => bench === name))
  if (lost.length > 0 && wish.isAsked !== true) {
    const name = wish.markdownFile
    return [
      html,
      `${name} is left as it is: it would lose ${lost.join(', ')} (--report ${wish.machineId} writes it)`,
    ]
  }
  await mkdir(dirname(wish.markdownFile), { recursive: true })
  await writeFile(wish.markdownFile, markdownReport(sorted, others))
  return [html, wish.markdownFile]
}

/** Figures as they were measured; goals as they are now. */
function judgedNow(result: BenchResult): BenchResult {
  const bench = benches.find(({ name }) => name === result.bench)
  if (bench === undefined) return result
  return { ...result, verdicts: bench.judge(new Rows(result.rows)) }
}

function benchesShown(file: string): readonly string[] {
  if (!existsSync(file)) return []
  return [...readFileSync(file, 'utf8').matchAll(/^## (\S+)$/gm)].map((match) => match[1] as string)
}
