/** The environment of a function: what a shim, Java and Python need, and none of the agent's secrets. Used by function.ts. */

/** Names that are passed on; `LC_` stands for all that begin so. */
const allowed: ReadonlySet<string> = new Set([
  'PATH',
  'JAVA_HOME',
  'LANG',
  'LANGUAGE',
  'TZ',
  'LD_LIBRARY_PATH',
  'PYENV_ROOT',
  'PYENV_VERSION',
  'CONDA_PREFIX',
  'VIRTUAL_ENV',
  'PYSPARK_PYTHON',
  'USER',
  'LOGNAME',
  'SPARK_USER',
])

/** `ours` wins over what is inherited. */
export function functionEnvironment(
  inherited: Readonly<Record<string, string | undefined>>,
  ours: Readonly<Record<string, string>>,
): Record<string, string> {
  const environment: Record<string, string> = {}
  for (const [name, value] of Object.entries(inherited)) {
    if (value !== undefined && (allowed.has(name) || name.startsWith('LC_'))) environment[name] = value
  }
  return { PATH: '/usr/local/bin:/usr/bin:/bin', ...environment, ...ours }
}
