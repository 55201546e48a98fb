/**
 * The agent's own failures. Each ends as one line `spark-lambda-relay: …` and an exit code;
 * what a program may tell apart is the code. Thrown within driver-agent/, caught by
 * submit.ts and agent.ts.
 */

/** `usage`: wrong use. `setup`: what a job needs could not be started. The rest say what broke while one ran. */
const exitCodes = {
  usage: 2,
  setup: 1,
  'relay-lost': 1,
  'tunnel-lost': 1,
  'start-failures': 1,
  'max-wall': 1,
} as const

export type AgentFailure = keyof typeof exitCodes

export class AgentError extends Error {
  override readonly name = 'AgentError'
  readonly code: AgentFailure
  /** Exit code of our process: 1 the job failed, 2 wrong use. */
  readonly exitCode: number

  /** `message`: one sentence for the user: what is at fault, and how to mend it. */
  constructor(code: AgentFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.exitCode = exitCodes[code]
  }

  /** The AgentError that `reason` is, or one of `code` around it. */
  static from(reason: unknown, code: AgentFailure = 'setup'): AgentError {
    if (reason instanceof AgentError) return reason
    const message = reason instanceof Error ? reason.message : String(reason)
    return new AgentError(code, message, { cause: reason })
  }
}
