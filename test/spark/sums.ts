/** What jobs/sums.py answers. For test/spark/ only. */
import { join } from 'node:path'
import * as z from 'zod'
import { jobs } from './harness.ts'

export const sumsProgram = [join(jobs, 'sums.py'), '{result}'] as const

export const sumsFound = z.object({
  keys: z.number(),
  sum: z.number(),
  pairs: z.array(z.tuple([z.number(), z.number()])),
  app: z.string(),
  ui: z.string(),
})

/** The part of the answer that does not depend on the run. */
export const rightSums = {
  keys: 100,
  sum: (200_000 * 199_999) / 2,
  // Of each residue 1,000 numbers: r, r + 10, … r + 9,990.
  pairs: Array.from({ length: 10 }, (_, r) => [r, 1000 * r + (10 * 999 * 1000) / 2]),
}
