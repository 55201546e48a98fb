/** Which of many like events are told: a loop of them, or whoever makes them, must not fill the log. Pure; anyone may use it. */

/** Whether the `count`-th is: the first, then one at each doubling. `count`: from 1, whole. */
export function isMilestone(count: number): boolean {
  return Number.isInteger(Math.log2(count))
}
