/** The shape of a row of the settings table, and what its functions may look at. Used by table/ and apply.ts. */
import type { SettingsErrorCode } from './errors.ts'
import type { SettingsInput } from './types.ts'

export interface Context {
  readonly input: SettingsInput
  /** Major version of Spark. */
  readonly major: number
  /** What the user set, and what rows further up have set by now. */
  get(key: string): string | undefined
}

interface RowBase {
  /** `*` stands for any characters. */
  readonly key: string
  /** Read by people: why the row is there, in words that fit behind "…: ". */
  readonly why: string
  /** First major version of Spark that knows it; older ones are not given it. */
  readonly since?: number
}

/** Ours, whatever the user says; he is told when he said something else. */
export interface EnforcedRow extends RowBase {
  readonly kind: 'enforced'
  /** Undefined: does not apply here. */
  value(context: Context): string | undefined
}

/** Ours unless the user says something else. */
export interface DefaultedRow extends RowBase {
  readonly kind: 'defaulted'
  value(context: Context): string | undefined
}

/** Taken out with a warning: the job runs without it. */
export interface DroppedRow extends RowBase {
  readonly kind: 'dropped'
}

/** The job cannot run with it: said before anything starts. */
export interface RefusedRow extends RowBase {
  readonly kind: 'refused'
  readonly code: SettingsErrorCode
  /** Which values. Default: any. */
  when?(value: string, context: Context): boolean
}

export type Row = EnforcedRow | DefaultedRow | DroppedRow | RefusedRow

/** Whether `row` is about `key`. */
export function concerns(row: Row, key: string): boolean {
  if (!row.key.includes('*')) return row.key === key
  const parts = row.key.split('*').map((part) => part.replace(/[.\\+?^${}()|[\]]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 's').test(key)
}

/** Spark's reading of a boolean. */
export function isTrue(value: string | undefined): boolean {
  return value?.trim().toLowerCase() === 'true'
}
