/** Spark's settings, as the agent makes them. Used by submit.ts, agent.ts and what they are made of. */
export { applySettings } from './apply.ts'
export { CONF_DIR_LIMIT_BYTES, readConfDir } from './conf-dir.ts'
export { SettingsError, type SettingsErrorCode } from './errors.ts'
export { isPythonProgram } from './spark-arguments.ts'
export type { AppliedSettings, SettingsInput } from './types.ts'
