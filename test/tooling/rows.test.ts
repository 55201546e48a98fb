import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { rows } from '../rows.ts'

describe('the table of rows', () => {
  it('names only test files that are there', () => {
    const absent = rows
      .flatMap((row) => row.tests.map(({ file }) => file))
      .filter((file) => !existsSync(file))
    expect(absent).toEqual([])
  })

  // A name may also come from it.each; so only names without a placeholder's text can be looked for.
  it('names tests by words that their files contain', () => {
    const unknown = rows.flatMap((row) =>
      row.tests.filter(({ file, name }) => name !== undefined && !name.test(readFileSync(file, 'utf8'))),
    )
    expect(unknown).toEqual([])
  })

  it('has each row once', () => {
    const titles = rows.map((row) => `${row.area}: ${row.what}`)
    expect(new Set(titles).size).toBe(titles.length)
  })
})
