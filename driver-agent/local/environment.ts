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

/**
 * For glibc's malloc in a shim: one arena for all threads, where each had its own, and free memory goes back from 64 KiB
 * on. 2 MiB of 82; slabs are pooled, and too large for arenas. The shim keeps it from its JVM.
 */
export const thriftyMalloc = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '65536' } as const

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
