/** A Node that does nothing: the floor of any memory figure of ours. Only for the bench of the shim. */
import type { Contestant } from './contestant.ts'

export const bareNode: Contestant = {
  name: 'bare-node',
  note: 'a Node process that only waits',
  isOurs: false,
  needs: [],
  async start(bed) {
    bed.start('sender', process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    return { entries: [], sinkPort: 0 }
  },
}
