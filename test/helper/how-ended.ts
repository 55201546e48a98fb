/** How a function ended, for comparing all of it: what memory it had taken differs from run to run. */
import type { FunctionEnd } from '../../driver-agent/provider.ts'

export async function howEnded(end: Promise<FunctionEnd>): Promise<Omit<FunctionEnd, 'peakBytes'>> {
  const { peakBytes: _, ...how } = await end
  return how
}
