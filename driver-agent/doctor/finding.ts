/** What one check of the machine found. Pure. */
import { SetupError } from '../setup-error.ts'

export interface Finding {
  /** What was looked at: `Java`, `namespaces` … */
  readonly name: string
  /** fine: nothing to do. limited: works, with the drawback that `says` names. missing: no job can run. */
  readonly is: 'fine' | 'limited' | 'missing'
  /** What was found, without a full stop. */
  readonly says: string
  /** What to do about it, exactly. Always there unless `fine`. */
  readonly remedy?: string
  /** Which SetupError it becomes. */
  readonly code: SetupError['code']
}

/** Throws SetupError with the sentence and the remedy of the first thing that is missing. */
export function assertReady(findings: readonly Finding[]): void {
  const missing = findings.find((finding) => finding.is === 'missing')
  if (missing === undefined) return
  const sentence = missing.remedy === undefined ? missing.says : `${missing.says}; ${missing.remedy}`
  throw new SetupError(missing.code, sentence)
}
