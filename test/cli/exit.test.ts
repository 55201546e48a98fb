import { describe, expect, it } from 'vitest'
import { UsageError } from '../../cli/errors.ts'
import { describeError, exitCodeOf } from '../../cli/exit.ts'
import { KeyError, TokenError } from '../../relay/token/index.ts'

describe('exitCodeOf', () => {
  it('is 2 for wrong use and missing things, 1 for any other failure', () => {
    expect(exitCodeOf(new UsageError('value', 'x'))).toBe(2)
    expect(exitCodeOf(new KeyError('no-keys', 'x'))).toBe(2)
    expect(exitCodeOf(new TokenError('expired', 'x'))).toBe(1)
    expect(exitCodeOf(new Error('x'))).toBe(1)
    expect(exitCodeOf('x')).toBe(1)
    expect(exitCodeOf(Object.assign(new Error('x'), { exitCode: 'two' }))).toBe(1)
  })
})

describe('describeError', () => {
  it('is one sentence for what was foreseen, also for errors of the system', () => {
    expect(describeError(new UsageError('value', 'two\n  lines'))).toBe('spark-lambda-relay: two lines\n')
    const refused = Object.assign(new Error('listen EADDRINUSE 127.0.0.1:7100'), { code: 'EADDRINUSE' })
    expect(describeError(refused)).toBe('spark-lambda-relay: listen EADDRINUSE 127.0.0.1:7100\n')
  })

  it('shows where it happened for what nobody foresaw', () => {
    expect(describeError(new TypeError('x is not a function'))).toMatch(
      /^spark-lambda-relay: x is not a function\n.*\n\s+at /,
    )
  })
})
