/** The shim's own failures; main.ts turns the code into an exit code. Thrown within executor-shim/ only. */
import { shimExit } from './main.ts'

const exits = {
  /** The first line of stdin is not a payload. */
  payload: shimExit.wrongUse,
  /** SPARK_HOME, Java or a folder is missing or not usable. */
  environment: shimExit.wrongUse,
  /** The Spark here is not the one that the driver runs. */
  version: shimExit.wrongUse,
  /** The relay refused us, or none could be reached. */
  tunnel: shimExit.cutOff,
} as const

export type ShimFailure = keyof typeof exits

export class ShimError extends Error {
  override readonly name = 'ShimError'
  readonly code: ShimFailure
  readonly exitCode: number

  /** `message`: one sentence: what is at fault, and how to mend it. */
  constructor(code: ShimFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.exitCode = exits[code]
  }

  /** The ShimError that `reason` is, or one of `code` around it. */
  static from(reason: unknown, code: ShimFailure): ShimError {
    if (reason instanceof ShimError) return reason
    return new ShimError(code, reason instanceof Error ? reason.message : String(reason), { cause: reason })
  }
}
