/**
 * From what the command line and the environment say to a command's options object. Pure.
 * The command line wins over the environment, the environment over defaults.
 */
import { UsageError } from './errors.ts'
import { environmentName, type Option, type OptionsOf, type OptionTable } from './options/option.ts'

/** What was found for one option on the command line: its texts, one for each time it was given. */
export type Given = Readonly<Record<string, readonly string[] | undefined>>

/** `given` is by the table's keys; toggles that are on hold `['true']`. Throws UsageError. */
export function readOptions<Table extends OptionTable>(
  table: Table,
  given: Given,
  environment: Readonly<Record<string, string | undefined>>,
): OptionsOf<Table> {
  const entries = Object.entries(table).map(([key, option]) => [
    key,
    readOption(option, given[key], environment),
  ])
  return Object.fromEntries(entries) as OptionsOf<Table>
}

function readOption(
  option: Option,
  given: readonly string[] | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): unknown {
  const name = environmentName(option)
  const fromEnvironment = environment[name]
  if (given !== undefined) return checkTexts(option, given, (text) => `${option.flag} ${shown(text)}`)
  if (fromEnvironment !== undefined && fromEnvironment !== '') {
    const texts = option.repeatable
      ? fromEnvironment.split(',').map((text) => text.trim())
      : [fromEnvironment]
    return checkTexts(option, texts, (text) => `${name}=${shown(text)}`)
  }
  if (option.required) {
    throw new UsageError('absent', `${option.flag} is missing (${option.says}); it must be ${option.allowed}`)
  }
  return option.default
}

function checkTexts(option: Option, texts: readonly string[], where: (text: string) => string): unknown {
  const schema = option.schema()
  const values = texts.map((text) => {
    const checked = schema.safeParse(text)
    if (checked.success) return checked.data
    throw new UsageError('value', `${where(text)}: must be ${option.allowed}`)
  })
  return option.repeatable ? values : values.at(-1)
}

/** A URL that is refused may be so for its password, unencoded: to the last `@` it is not repeated. */
function shown(text: string): string {
  return text.replace(/:\/\/.*@/s, '://[redacted]@')
}

/** Names in the environment that begin as ours do but mean nothing to any of `tables`: mostly typing mistakes. */
export function unknownVariables(
  tables: readonly OptionTable[],
  others: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const known = new Set([...others, ...tables.flatMap((table) => Object.values(table).map(environmentName))])
  return Object.keys(environment).filter((name) => /^SLR_(?!TEST_|SIM_)/.test(name) && !known.has(name))
}
