/** Writes the report of one machine: an HTML page beside the results, and docs/performance.md. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { benches } from '../benches/index.ts'
import { loadResults } from '../result.ts'
import { htmlReport } from './html.ts'
import { markdownReport } from './markdown.ts'

/** Returns the files. */
export async function writeReport(
  resultsFolder: string,
  machineId: string,
  root: string,
): Promise<readonly string[]> {
  const { results, others } = loadResults(resultsFolder, machineId)
  const order = new Map(benches.map((bench, at) => [bench.name, at]))
  const sorted = [...results].sort((a, b) => (order.get(a.bench) ?? 0) - (order.get(b.bench) ?? 0))
  const html = join(resultsFolder, machineId, 'report.html')
  const markdown = join(root, 'docs/performance.md')
  await mkdir(join(resultsFolder, machineId), { recursive: true })
  await mkdir(join(root, 'docs'), { recursive: true })
  await writeFile(html, htmlReport(sorted, others))
  await writeFile(markdown, markdownReport(sorted, others))
  return [html, markdown]
}
