/**
 * What an option of the command line is: one row of a command's table, checked by zod, with
 * all that --help says about it. Used by the tables beside this file and by cli/main.ts.
 */
import type * as z from 'zod'

/** One row. `T` is what the command's run function gets, units in the key's name. */
export interface Option<T = unknown> {
  /** `--max-executors`. Its environment variable follows from it: `SLR_MAX_EXECUTORS`. */
  readonly flag: string
  /** What stands for the value in --help; absent: the option takes none. */
  readonly value?: string
  /** What it does, one sentence without a full stop; what it costs or depends on, if anything. */
  readonly says: string
  /** What is allowed, to follow "must be": `1 to 1000`, `a file that exists`. */
  readonly allowed: string
  /** Where a value has a unit or bounds, shown by --help in brackets. */
  readonly range?: string
  /** How --help shows the default. Absent: nothing is shown. */
  readonly defaultText?: string
  readonly default: T
  /**
   * Makes what reads one text value to `T`, or to one element of it when repeatable. Not made before there is a text:
   * the schemas of all commands would be half a MiB of every function's memory.
   */
  readonly schema: () => z.ZodType<unknown, string>
  /** May be given more than once; the environment variable separates by commas. */
  readonly repeatable: boolean
  /** Works, but only for children of ours: --help is silent about it. */
  readonly hidden: boolean
  /** Without a value the command is refused. */
  readonly required: boolean
}

/** A command's options: key of the options object → row. */
export type OptionTable = Readonly<Record<string, Option>>

/** The options object that a command's run function gets. */
export type OptionsOf<Table extends OptionTable> = {
  readonly [Key in keyof Table]: Table[Key] extends Option<infer T> ? T : never
}

/** `--max-executors` → `SLR_MAX_EXECUTORS`. */
export function environmentName(option: Pick<Option, 'flag'>): string {
  return `SLR_${option.flag.slice(2).replaceAll('-', '_').toUpperCase()}`
}
