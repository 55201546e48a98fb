/** Applies the settings table onto a user's spark-submit arguments. */
import type { AppliedSettings, SettingsInput } from './types.ts'

/**
 * What spark-submit is to be given. Reads the user's properties files, writes nothing.
 * Throws SettingsError for what cannot run here, the first in the table's order.
 */
export function applySettings(_input: SettingsInput): AppliedSettings {
  throw new Error('applySettings is being written')
}
