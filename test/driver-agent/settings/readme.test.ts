/**
 * The page that lists the settings is written out of the table. After a change of the table:
 * UPDATE_SETTINGS_PAGE=1 npx vitest run test/driver-agent/settings/readme
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { Row } from '../../../driver-agent/settings/row.ts'
import { table } from '../../../driver-agent/settings/table/index.ts'
import { apply, input, written } from './fixture.ts'

const page = new URL('../../../driver-agent/settings/README.md', import.meta.url)
const mark = '<!-- Below: written by test/driver-agent/settings/readme.test.ts -->\n'

/** What differs from run to run, by name instead of by this test's value. */
const names: readonly (readonly [string, string])[] = [
  [input.facadeUrl, 'http://127.0.0.1:PORT'],
  [input.executorLogUrl as string, 'the log server’s'],
  [input.tokenFile, 'a file of the agent’s'],
  [String(input.ports.driverRpc), 'a free one'],
  [String(input.ports.driverBlocks), 'a free one'],
  [String(input.ports.executorBlocks), 'a free one'],
  [String(input.uiPort), 'a free one'],
  ['8000000000b', 'the function’s disk less a fifth'],
]

function showValue(row: Row, settings: Record<string, string>): string {
  if (row.key === 'spark.executor.maxNumFailures') return 'max(24, 2 × --max-executors)'
  const value = settings[row.key]
  if (value === undefined || value === String(input.maxExecutors)) return 'at most --max-executors'
  return names.reduce((text, [from, to]) => text.replace(from, to), value)
}

function section(title: string, kind: Row['kind'], withValue: boolean): string {
  const settings = written(apply())
  const rows = table
    .filter((row) => row.kind === kind)
    .map((row) => {
      const since = row.since === undefined ? '' : ` (Spark ${row.since} and later)`
      const cells = [`\`${row.key}\`${since}`, ...(withValue ? [showValue(row, settings)] : []), row.why]
      return `| ${cells.join(' | ')} |`
    })
  const head = withValue
    ? '| setting | value | why |\n| --- | --- | --- |'
    : '| setting | why |\n| --- | --- |'
  return `## ${title}\n\n${head}\n${rows.join('\n')}\n`
}

it('says what the table says', () => {
  const tables = [
    section('Enforced: ours, and you are told when you said otherwise', 'enforced', true),
    section('Defaulted: ours unless you say otherwise', 'defaulted', true),
    section('Left out, with a warning', 'dropped', false),
    section('Refused before anything starts', 'refused', false),
  ].join('\n')
  const text = readFileSync(page, 'utf8')
  const [before = ''] = text.split(mark)
  const wanted = `${before}${mark}\n${tables}`
  if (process.env.UPDATE_SETTINGS_PAGE !== undefined) writeFileSync(page, wanted)
  expect(readFileSync(page, 'utf8')).toBe(wanted)
})
