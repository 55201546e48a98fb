/**
 * What every command's run function is handed beside its options, so that no room imports
 * the command line. `run…(options, context)` answers the exit code, see exit.ts.
 */
import type { Logger } from 'pino'

/** Answers the exit code: 0 done, 1 the job failed, 2 wrong use; or that of the program it ran. */
export type Run<Options> = (options: Options, context: CommandContext) => Promise<number>

export interface CommandContext {
  /** To stderr, by --log-level and --log-format. Secrets are redacted. */
  readonly logger: Logger
  /**
   * How to start another command of this program as a child: program first, then arguments.
   * Works in a checkout, in the package and in a bundle.
   */
  readonly selfCommand: (args: readonly string[]) => [string, ...string[]]
  /** Version of this program. */
  readonly version: string
}
