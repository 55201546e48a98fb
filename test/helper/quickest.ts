/**
 * Bounds of time on a machine that others share: one try may be disturbed by what is none of ours,
 * but what waits where it should not does so in every one. All else that a try expects counts each time.
 */
export async function quickest(boundMs: number, play: () => Promise<number>, tries = 5): Promise<number> {
  let bestMs = Number.POSITIVE_INFINITY
  for (let n = 0; n < tries && bestMs >= boundMs; n += 1) bestMs = Math.min(bestMs, await play())
  return bestMs
}
