import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineSplitter } from '../../executor-shim/line-splitter.ts'

function split(chunks: readonly Uint8Array[]): readonly string[] {
  const lines: string[] = []
  const splitter = new LineSplitter((line) => lines.push(line))
  for (const chunk of chunks) splitter.push(chunk)
  splitter.end()
  return lines
}

describe('LineSplitter', () => {
  it('gives the same lines however the bytes are cut', () => {
    const text = fc.array(
      fc.string({ unit: 'grapheme' }).map((line) => line.replaceAll(/[\r\n]/g, '')),
      { minLength: 1 },
    )
    fc.assert(
      fc.property(text, fc.array(fc.nat(200)), (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
        const chunks: Uint8Array[] = []
        let from = 0
        for (const length of cuts) {
          chunks.push(bytes.subarray(from, from + length))
          from += length
        }
        chunks.push(bytes.subarray(from))
        expect(split(chunks)).toEqual(lines)
      }),
    )
  })

  it('hands out a last line without a line feed, and takes off a carriage return', () => {
    expect(split([Buffer.from('a\r\nb')])).toEqual(['a', 'b'])
  })

  it('does not keep a line without an end', () => {
    const lines = split(Array.from({ length: 100 }, () => Buffer.alloc(10_000, 'x')))
    expect(lines.length).toBeGreaterThan(10)
    expect(lines.join('')).toHaveLength(1_000_000)
  })
})
