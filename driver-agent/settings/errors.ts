/** What the settings table refuses, before anything starts: wrong use, exit code 2. */

/** Why a job cannot run here. */
export type SettingsErrorCode =
  /** An argument of spark-submit without its value, or a `--conf` without `=`. */
  | 'bad-argument'
  /** A value that cannot be read or is out of range. */
  | 'bad-value'
  /** A file that was named and cannot be read. */
  | 'unreadable-file'
  | 'other-master'
  | 'cluster-mode'
  | 'external-shuffle-service'
  | 'push-based-shuffle'
  | 'gpu'
  | 'persistent-volume'
  | 'secret'
  | 'pods-allocator'
  | 'ipv4-only'
  | 'conf-dir-too-large'

/** One sentence: the setting or file at fault, and how to mend it. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
  readonly code: SettingsErrorCode
  constructor(code: SettingsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
