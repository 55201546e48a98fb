/**
 * The command line of npm's scripts and of the bench: `--help` with an example; one sentence and
 * exit code 2 for wrong use.
 */
import { Command, InvalidArgumentError } from 'commander'

export interface ScriptCommand {
  /** As typed behind `npm run`. */
  readonly name: string
  readonly says: string
  /** What stands behind `npm run NAME`. */
  readonly example: string
}

/** Ends the process on `--help` (0) and on wrong use (2). */
export function scriptCommand({ name, says, example }: ScriptCommand): Command {
  return new Command(`npm run ${name} --`)
    .description(says)
    .helpOption('-h, --help', 'explains')
    .allowExcessArguments(false)
    .addHelpText('after', `\nExample:\n  npm run ${name} ${example}`)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
}

/** Reads an option's number; a whole one unless `canBePart`. */
export function numberFrom(least: number, most = Number.MAX_SAFE_INTEGER, canBePart = false) {
  return (text: string): number => {
    const value = Number(text)
    const isGood = text.trim() !== '' && value >= least && value <= most
    if (isGood && (canBePart || Number.isInteger(value))) return value
    const kind = canBePart ? 'a number' : 'a whole number'
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`
    throw new InvalidArgumentError(`It must be ${kind} ${range}.`)
  }
}

/** For an option that may be given more than once; `choices`: what it may be, else anything. */
export function collect(choices?: readonly string[]) {
  return (text: string, before: readonly string[]): readonly string[] => {
    if (choices?.includes(text) !== false) return [...before, text]
    throw new InvalidArgumentError(`It must be one of ${choices.join(', ')}.`)
  }
}
