/** How long a run of all tests took, and whether that is what the README promises. Used by test.ts. Pure. */

const MOST_MINUTES = 20

export function inWords(ms: number): string {
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/**
 * A sentence when it took too long, on a machine that is there for tests alone (CI is set). Elsewhere
 * somebody may work beside them.
 */
export function tooLong(ms: number, { CI }: NodeJS.ProcessEnv): string | undefined {
  if ((CI ?? '') === '' || ms <= MOST_MINUTES * 60_000) return undefined
  return `all tests took ${inWords(ms)}, more than the ${MOST_MINUTES} minutes that the README promises on two cores; make the slowest quicker, or move them to test:full`
}
