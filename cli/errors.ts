/** What is wrong with how the program was called. */

/** The sentence names the option or variable, what is allowed, and so how to mend it. Ends with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly code: 'unknown' | 'value' | 'absent' | 'conflict'
  readonly exitCode = 2
  constructor(code: UsageError['code'], sentence: string) {
    super(sentence)
    this.code = code
  }
}
