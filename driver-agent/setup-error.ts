/** Something a job needs is not on this machine. Thrown before anything is started. */

/** The sentence says what is missing and the exact remedy. Ends a command with 2. */
export class SetupError extends Error {
  override readonly name = 'SetupError'
  readonly code:
    | 'java'
    | 'spark'
    | 'python'
    | 'namespaces'
    | 'programs'
    | 'ports'
    | 'descriptors'
    | 'loopback'
  readonly exitCode = 2
  constructor(code: SetupError['code'], sentence: string, options?: ErrorOptions) {
    super(sentence, options)
    this.code = code
  }
}
