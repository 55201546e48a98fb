/** How `exec` itself can fail; what its command does is answered by the command's own exit code. Used by exec*.ts. */

const execFailures = {
  /** Options that do not go together. */
  usage: 2,
  /** No namespace to be had here. */
  isolate: 2,
  /** The token file cannot be read, or others can read it too. */
  token: 2,
  /** No such program. As shells say it. */
  'not-found': 127,
  /** It is there and cannot be run. */
  'not-executable': 126,
  /** The relay is lost for good, so the command was ended. */
  'tunnel-lost': 1,
} as const
export type ExecFailure = keyof typeof execFailures

export class ExecError extends Error {
  override readonly name = 'ExecError'
  readonly code: ExecFailure

  constructor(code: ExecFailure, sentence: string, options?: ErrorOptions) {
    super(sentence, options)
    this.code = code
  }

  get exitCode(): number {
    return execFailures[this.code]
  }
}
