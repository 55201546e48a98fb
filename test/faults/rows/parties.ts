/** Rows about shims and their JVMs: frozen, killed, or slow to reach. */
import type { FaultRow } from '../row.ts'
import { checkOthers, throughput } from '../throughput.ts'
import { inWorld, type World, wait } from '../world.ts'

const MiB = 1024 * 1024
/** What an endpoint allows to be on its way to it, both classes together: two receive budgets and the streams' floors. */
const CREDIT_BYTES = 2 * 32 * MiB + 200 * 16 * 1024

/** The most that the relays held at any look, until `stop`. Whole read buffers are counted. */
function watchMemory(world: World): () => Promise<{ queued: number; pinned: number }> {
  const most = { queued: 0, pinned: 0 }
  const look = async (): Promise<void> => {
    const totals = await world.fleet.totals()
    most.queued = Math.max(most.queued, totals.get('slr_relay_queued_bytes') ?? 0)
    most.pinned = Math.max(most.pinned, totals.get('slr_relay_pinned_bytes') ?? 0)
  }
  const timer = setInterval(() => void look(), 250)
  return async () => {
    clearInterval(timer)
    await look()
    return most
  }
}

export const freezeShim: FaultRow = {
  name: 'freeze-shim',
  fault: 'SIGSTOP one shim for 10 s (shorter than S + G), then SIGCONT',
  means: 'SIGSTOP and SIGCONT to an endpoint’s process, TCP on loopback',
  run: (context) =>
    inWorld('freeze-shim', context, {}, async (world) => {
      const victim = world.crowd.party(2)
      const resumesBefore = (await victim.report()).resumes
      const memory = watchMemory(world)
      victim.signal('SIGSTOP')
      await wait(context.isLong ? 10_000 : context.times.silenceMs + context.times.graceMs / 2)
      victim.signal('SIGCONT')
      const { queued, pinned } = await memory()
      world.check(
        'the relays’ queues stay under the credit of one endpoint',
        queued <= CREDIT_BYTES,
        `${Math.round(queued / MiB)} MiB`,
      )
      world.figures['pinned MiB at most'] = Math.round(pinned / MiB)
      world.crowd.mark()
      await wait(3_000)
      await world.checkStalls(3_000, 'stall after SIGCONT')
      const { resumes, streams } = await victim.report()
      world.check(
        'none of its streams was reset',
        streams.every(({ state }) => state === 'open'),
        `${streams.length} open`,
      )
      world.figures['resumes of its own'] = resumes - resumesBefore
    }),
}

export const freezeReader: FaultRow = {
  name: 'freeze-reader',
  fault: 'one executor’s reader frozen (SIGSTOP of its JVM) for 20 s',
  means: 'an endpoint whose local programs take nothing, others send 32 KiB a turn; TCP on loopback',
  run: (context) =>
    inWorld(
      'freeze-reader',
      context,
      { crowd: { chunkBytes: { urgent: 256, bulk: 32 * 1024 } }, streams: { urgent: 1, bulk: 1 } },
      async (world) => {
        const victim = world.crowd.party(3)
        const isOfOthers = (address: string, peer: string): boolean =>
          address !== victim.address && peer !== victim.address
        const before = await throughput(world, 3_000, isOfOthers)
        victim.tell({ do: 'freeze' })
        const memory = watchMemory(world)
        await wait(1_000)
        const during = await throughput(world, context.isLong ? 19_000 : 4_000, isOfOthers)
        const { queued, pinned } = await memory()
        world.check(
          'the relays’ queues stay under the credit of one endpoint',
          queued <= CREDIT_BYTES,
          `${Math.round(queued / MiB)} MiB`,
        )
        world.figures['pinned MiB at most'] = Math.round(pinned / MiB)
        checkOthers(world, before, during, ' beside a frozen reader')
        victim.tell({ do: 'thaw' })
        await wait(1_000)
      },
    ),
}

export const killFunction: FaultRow = {
  name: 'kill-function',
  fault: 'one executor’s function killed',
  means: 'SIGKILL to an endpoint’s process; then another, whose address the driver retires 200 ms later',
  run: (context) =>
    inWorld('kill-function', context, {}, async (world) => {
      const { crowd } = world
      const { silenceMs, graceMs } = context.times
      const dead = new Set<string>()
      world.mayReset = (stream) => dead.has(stream.peer)
      const toldWithin = async (index: number, limitMs: number, isRetired: boolean): Promise<number> => {
        const victim = crowd.party(index)
        dead.add(victim.address)
        const killedMs = performance.now()
        await victim.end()
        let fromMs = killedMs
        if (isRetired) {
          await wait(200)
          fromMs = performance.now()
          crowd.party(0).tell({ do: 'retire', address: victim.address, generation: 1 })
        }
        await Promise.all(
          crowd.living.map((party) =>
            party.until(
              `its streams to ${victim.address} are reset`,
              () =>
                party.events.filter(({ what }) => what.is === 'over' && what.peer === victim.address)
                  .length >= 3,
              limitMs + 5_000,
            ),
          ),
        )
        const told = crowd.living.flatMap((party) =>
          party.events.filter(({ what }) => what.is === 'over' && what.peer === victim.address),
        )
        return Math.max(...told.map(({ atMs }) => atMs)) - fromMs
      }
      const unsaid = await toldWithin(4, silenceMs + graceMs, false)
      world.checkTime(
        'without the platform’s word the others know within S + G',
        unsaid <= silenceMs + graceMs + 500,
        `${Math.round(unsaid)} ms`,
      )
      const said = await toldWithin(5, 1_000, true)
      world.checkTime(
        'the others know within 1 s of the platform’s word',
        said <= 1_000,
        `${Math.round(said)} ms`,
      )
    }),
}
