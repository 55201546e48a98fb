/** What --help says about options. Pure. */
import { environmentName, type Option } from './options/option.ts'

/** `--relay <url>`, `--isolate`. */
export function flagsOf(option: Option): string {
  return option.value === undefined ? option.flag : `${option.flag} <${option.value}>`
}

/** What it does, then in brackets: repeatable, range, default, variable. */
export function descriptionOf(option: Option): string {
  const facts = [
    option.required ? 'required' : undefined,
    option.repeatable ? 'repeatable' : undefined,
    option.range,
    option.defaultText === undefined ? undefined : `default ${option.defaultText}`,
    environmentName(option),
  ]
  return `${option.says} (${facts.filter((fact) => fact !== undefined).join('; ')})`
}
