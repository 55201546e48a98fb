/** Rows below the socket: packets that are dropped, by nftables on veth pairs. */
import type { FaultRow } from '../row.ts'
import { dropPackets, droppedPackets, inOwnNetwork, plugIn, prepareNetwork, relayHost } from '../veth.ts'
import { inWorld, wait } from '../world.ts'

export const blackhole: FaultRow = {
  name: 'blackhole',
  fault: 'all packets of one link dropped silently, for good; then only one direction of it',
  means:
    'nftables on veth pairs in namespaces of the test’s own: both directions of one party’s bulk link, then to the relay only of another’s, then from it only of a third’s',
  inNamespace: true,
  run: async (context) => {
    prepareNetwork(3)
    return await inWorld(
      'blackhole',
      context,
      {
        listen: (index) => `${relayHost(index)}:7100`,
        args: ['--plain'],
        crowd: {
          under: () => inOwnNetwork,
          prepare: async (party, index) => plugIn(party.pid, index),
        },
      },
      async (world) => {
        const { crowd } = world
        const { silenceMs } = context.times
        const cases = [
          ['both', 1],
          ['to-relay', 2],
          ['to-party', 3],
        ] as const
        for (const [direction, index] of cases) {
          const { homes } = await crowd.party(index).report()
          const attached = crowd.party(index).count('attached', 'bulk')
          crowd.mark()
          const beganMs = performance.now()
          dropPackets(index, homes.bulk?.localPort ?? 0, direction)
          const party = crowd.party(index)
          await party.until(
            'it has moved',
            () => party.count('attached', 'bulk') > attached,
            silenceMs + 20_000,
          )
          const movedMs = performance.now() - beganMs
          world.checkTime(
            `${direction}: found and moved within S + 2 s`,
            movedMs <= silenceMs + 2_000,
            `${Math.round(movedMs)} ms`,
          )
          await wait(1_500)
          await world.checkStalls(silenceMs + 2_000, `${direction}: stall`)
        }
        world.check('packets were dropped', droppedPackets() > 0, droppedPackets())
      },
    )
  },
}
