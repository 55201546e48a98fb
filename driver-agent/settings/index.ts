/** Spark's settings, as the agent makes them. Used by driver-agent/submit.ts and agent.ts. */
export { applySettings } from './apply.ts'
export { CONF_DIR_LIMIT_BYTES, readConfDir } from './conf-dir.ts'
export { SettingsError, type SettingsErrorCode } from './errors.ts'
export type { AppliedSettings, SettingsInput } from './types.ts'
