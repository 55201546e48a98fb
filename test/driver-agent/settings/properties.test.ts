/** Properties files as Java has them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatProperties, parseProperties } from '../../../driver-agent/settings/properties.ts'

describe('a properties file', () => {
  const rows: [string, Record<string, string>][] = [
    ['a=1\nb: 2\nc 3\nd\t4', { a: '1', b: '2', c: '3', d: '4' }],
    ['# no\n! no\n\n   # no\na 1', { a: '1' }],
    ['  a   =   1   ', { a: '1' }],
    ['a=b=c:d e', { a: 'b=c:d e' }],
    ['a', { a: '' }],
    ['a=x\\\n   y\\\r\n z', { a: 'xyz' }],
    ['a=x\\\\\nb=2', { a: 'x\\', b: '2' }],
    ['a=\\u00e4\\tx\\ny\\q', { a: 'ä\tx\nyq' }],
    ['a\\ b\\=c=1', { 'a b=c': '1' }],
    ['a=1\na=2', { a: '2' }],
    ['spark.x  # not a comment', { 'spark.x': '# not a comment' }],
    ['a=1\\', { a: '1' }],
    ['', {}],
  ]
  it.each(rows)('%j', (text, expected) => {
    expect(Object.fromEntries(parseProperties(text))).toEqual(expected)
  })

  it('is read as it was written', () => {
    const text = fc.string({ unit: 'binary' }).map((value) => value.trim())
    const key = text.filter((value) => value !== '')
    fc.assert(
      fc.property(fc.array(fc.tuple(key, text)), (pairs) => {
        const properties = new Map(pairs)
        expect(parseProperties(formatProperties(properties))).toEqual(properties)
      }),
    )
  })
})
