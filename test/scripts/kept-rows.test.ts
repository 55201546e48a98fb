import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keyOf, readKept, type Seen, writeKept } from '../../scripts/kept-rows.ts'
import { rows } from '../rows.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slr-kept-rows-'))
  file = join(folder, 'kept.json')
})
afterEach(() => rmSync(folder, { recursive: true }))

const here = 'machine-a'
function seen(says: string, machine = here): Seen {
  return { is: 'PASSED', durationMs: 5, says, commit: '0123456789', on: '2026-11-27 10:00', machine }
}
const [first, second] = rows.map(keyOf) as [string, string]

describe('rows that were seen', () => {
  it('are kept from one run to the next', () => {
    writeKept(file, new Map([[first, seen('one')]]), rows)
    const later = readKept(file, here)
    later.set(second, seen('two'))
    writeKept(file, later, rows)
    expect([...readKept(file, here)]).toEqual([
      [first, seen('one')],
      [second, seen('two')],
    ])
  })

  it('on another machine are not shown as seen on this one', () => {
    writeKept(file, new Map([[first, seen('one', 'machine-b')]]), rows)
    expect(readKept(file, here).size).toBe(0)
  })

  it('are forgotten with their row', () => {
    writeKept(file, new Map([['an area: a row of long ago', seen('one')]]), rows)
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual([])
  })

  it('are none where there is no file yet, and a file that is none of ours is refused', () => {
    expect(readKept(file, here).size).toBe(0)
    writeFileSync(file, '[{"row": "x", "is": "FINE"}]')
    expect(() => readKept(file, here)).toThrow(/is/)
  })
})

it('what the report shows is what was kept', () => {
  const report = readFileSync('docs/test-report.md', 'utf8').split('\n')
  const kept = new Map(
    (JSON.parse(readFileSync('docs/test-report.json', 'utf8')) as (Seen & { row: string })[]).map((each) => [
      each.row,
      each,
    ]),
  )
  for (const row of rows) {
    const shown = report.find((line) => line.startsWith(`| ${row.what} |`))
    const { commit, on } = kept.get(keyOf(row)) ?? {}
    if (commit !== undefined) expect(shown).toContain(`${commit}, ${on}`)
    else expect(shown ?? 'NOT RUN').toContain('NOT RUN')
  }
})
