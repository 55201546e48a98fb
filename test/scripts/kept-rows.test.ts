import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { asShown, commitsIn, keyOf, readKept, type Seen, writeKept } from '../../scripts/kept-rows.ts'
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

describe('a row that was seen at a commit', () => {
  function git(...args: readonly string[]): string {
    const identity = ['-c', 'user.name=n', '-c', 'user.email=n@example', '-c', 'commit.gpgsign=false']
    return execFileSync('git', ['-C', folder, ...identity, ...args], { encoding: 'utf8' }).trim()
  }

  it('that the repository has is shown as it was seen, with and without changes', () => {
    git('init', '--quiet')
    git('commit', '--quiet', '--allow-empty', '--message=x')
    const isHere = commitsIn(folder)
    const hash = git('rev-parse', '--short=10', 'HEAD')
    for (const commit of [hash, `${hash}+`]) {
      const one = { ...seen('one'), commit }
      expect(asShown(one, isHere)).toEqual(one)
    }
  })

  it('that the repository does not have is shown as not run, and stays kept', () => {
    git('init', '--quiet')
    git('commit', '--quiet', '--allow-empty', '--message=x')
    // A tree has a hash as well, and is no commit.
    const tree = git('rev-parse', '--short=10', 'HEAD^{tree}')
    const isHere = commitsIn(folder)
    for (const commit of ['0123456789', '0123456789+', tree, '']) {
      for (const is of ['PASSED', 'FAILED'] as const) {
        expect(asShown({ ...seen('one'), is, commit }, isHere)).toMatchObject({
          is: 'NOT RUN',
          says: `seen at a commit that is not here: ${commit}`,
        })
      }
    }
    writeKept(file, new Map([[first, seen('one')]]), rows)
    expect(readKept(file, here).get(first)).toEqual(seen('one'))
  })

  it('that is not there since it was not run keeps the reason', () => {
    const skipped: Seen = { ...seen('skipped: one'), is: 'NOT RUN' }
    expect(asShown(skipped, () => false)).toEqual(skipped)
  })
})

it('what the report shows is what was kept', () => {
  const isHere = commitsIn()
  const report = readFileSync('docs/test-report.md', 'utf8').split('\n')
  const kept = new Map(
    (JSON.parse(readFileSync('docs/test-report.json', 'utf8')) as (Seen & { row: string })[]).map((each) => [
      each.row,
      each,
    ]),
  )
  for (const row of rows) {
    const shown = report.find((line) => line.startsWith(`| ${row.what} |`))
    const each = kept.get(keyOf(row))
    const asSeen = `${each?.commit}, ${each?.on}`
    if (each === undefined || each.is === 'NOT RUN') expect(shown ?? 'NOT RUN').toContain('NOT RUN')
    else if (isHere(each.commit)) expect(shown).toContain(asSeen)
    // A clone may lack commits that were there when the report was written.
    else expect(shown?.includes(asSeen) || shown?.includes(`not here: ${each.commit} |`), shown).toBe(true)
  }
})
