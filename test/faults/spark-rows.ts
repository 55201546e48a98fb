/** Rows of the fault table with real Spark. Used by scripts/faults.ts; needs Spark and Java. */

import type { SparkVersion } from '../spark/harness.ts'
import { descendants, ofKind, survivors } from '../spark/processes.ts'
import { quantile } from './row.ts'
import { type SparkDirectory, SparkWorld } from './spark-world.ts'
import { wait } from './world.ts'

export interface SparkResult {
  readonly held: boolean
  /** What did not hold, and what else was measured. */
  readonly notes: string[]
  readonly stall: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly failedTasks: number
  readonly fetchFailures: number
  readonly rounds: number
}

export interface SparkRow {
  readonly name: string
  readonly fault: string
  readonly means: string
  run(version: SparkVersion, say: (line: string) => void): Promise<SparkResult>
}

interface Plot {
  /** Longest stall allowed, ms. */
  readonly stallMs: number
  /** A row whose fault takes an executor with it. */
  readonly mayFailTasks?: boolean
  /** Default: server. */
  readonly directory?: SparkDirectory
  play(world: SparkWorld, note: (text: string) => void): Promise<void>
}

function row(name: string, fault: string, means: string, plot: Plot): SparkRow {
  return {
    name,
    fault,
    means,
    async run(version, say) {
      const world = await SparkWorld.start(version, plot.directory)
      const notes: string[] = []
      try {
        world.crowd.mark()
        await plot.play(world, (text) => {
          say(text)
          notes.push(text)
        })
        await world.roundsMore(1)
        const stalls = await world.crowd.stalls()
        const { exitCode, failures, rounds, wrongAnswers, streams } = await world.finish()
        const stall = {
          p50: Math.round(quantile(stalls, 0.5)),
          p99: Math.round(quantile(stalls, 0.99)),
          max: Math.round(stalls.at(-1) ?? 0),
        }
        const wrong = [
          exitCode === 0 ? '' : `exit code ${exitCode}`,
          wrongAnswers === 0 ? '' : `${wrongAnswers} wrong answers`,
          failures.failedTasks === 0 || plot.mayFailTasks === true
            ? ''
            : `${failures.failedTasks} failed tasks`,
          failures.repeatedStages === 0 || plot.mayFailTasks === true
            ? ''
            : `${failures.repeatedStages} stages ran again`,
          stall.max <= plot.stallMs ? '' : `stall over ${plot.stallMs} ms`,
          ...streams.faults.slice(0, 3),
        ].filter((one) => one !== '')
        return {
          held: wrong.length === 0,
          notes: [...wrong.map((one) => `NOT HELD: ${one}`), ...notes],
          stall,
          failedTasks: failures.failedTasks,
          fetchFailures: failures.fetchFailures,
          rounds,
        }
      } finally {
        await world.end()
      }
    },
  }
}

const S = 6_000
/** An executor's address, and that of a party whose stalls are measured. */
const VICTIM = '127.64.0.3'

/** The one row in which nothing goes on: whoever is without its agent ends. */
const killAgent: SparkRow = {
  name: 'kill-agent',
  fault: 'the agent SIGKILLed',
  means: 'SIGKILL to the submit process, which is the agent',
  async run(version) {
    const world = await SparkWorld.start(version)
    try {
      const family = descendants(world.job.pid)
      const driver = family.filter(({ command }) => command.includes('org.apache.spark.deploy.SparkSubmit'))
      const killedMs = performance.now()
      world.job.kill('SIGKILL')
      let left = survivors(family)
      while (left.length > 0 && performance.now() - killedMs < 30_000) {
        await wait(100)
        left = survivors(family)
      }
      const tookMs = Math.round(performance.now() - killedMs)
      const held = left.length === 0 && driver.length > 0 && (await world.job.ended) !== 0
      return {
        held,
        notes: [
          `${family.length} processes, the driver among them; ${left.length} left after ${tookMs} ms`,
          ...left.slice(0, 3).map(({ command }) => `NOT HELD: still there: ${command.slice(0, 80)}`),
        ],
        stall: { p50: 0, p99: 0, max: 0 },
        failedTasks: 0,
        fetchFailures: 0,
        rounds: world.rounds,
      }
    } finally {
      await world.end()
    }
  },
}

export const sparkRows: readonly SparkRow[] = [
  killAgent,
  row('kill-relays', 'SIGKILL one relay; then another, 20 s later', 'SIGKILL to relay processes', {
    stallMs: 5_000,
    async play({ fleet, crowd }) {
      for (const gapMs of [20_000, 10_000]) {
        await fleet.relayAt(crowd.party(0).homeOf('bulk')).kill()
        await wait(gapMs)
      }
    },
  }),
  row('freeze-relay', 'SIGSTOP one relay for 30 s, then SIGCONT', 'SIGSTOP and SIGCONT to a relay process', {
    stallMs: S + 2_000,
    async play({ fleet, crowd }) {
      const relay = fleet.relayAt(crowd.party(0).homeOf('bulk'))
      relay.freeze()
      await wait(30_000)
      relay.thaw()
      await wait(3_000)
    },
  }),
  row(
    'freeze-shim',
    'SIGSTOP one shim for 10 s (shorter than S + G), then SIGCONT',
    'SIGSTOP and SIGCONT to a shim process',
    {
      stallMs: 2_000,
      async play({ job }, note) {
        const [shim] = ofKind(job.pid, 'shim')
        if (shim === undefined) throw new Error('no shim runs')
        process.kill(shim.pid, 'SIGSTOP')
        await wait(10_000)
        process.kill(shim.pid, 'SIGCONT')
        note('stalls are those of the others')
        await wait(3_000)
      },
    },
  ),
  row(
    'rolling',
    'SIGTERM each relay in turn (rolling)',
    'SIGTERM to relay processes, successors started in their place',
    {
      stallMs: 1_000,
      async play({ fleet }, note) {
        for (const relay of fleet.relays) {
          const { code, tookMs } = await relay.leave()
          note(`relay ${relay.index} ended with ${code} after ${Math.round(tookMs)} ms`)
          await relay.start()
          await wait(3_000)
        }
      },
    },
  ),
  row(
    'silent-link',
    'all bytes of the links of one executor dropped silently, for good; then only one direction',
    'fault proxies before the relays’ Unix sockets',
    {
      stallMs: S + 2_000,
      async play({ proxies }) {
        for (const direction of ['both', 'to-target', 'to-client'] as const) {
          for (const proxy of proxies) for (const link of proxy.linksOf(VICTIM)) link.silence(direction)
          await wait(S + 5_000)
        }
      },
    },
  ),
  row('link-resets', 'link reset every 2 s for 60 s', 'fault proxies before the relays’ Unix sockets', {
    stallMs: 2_000,
    async play({ proxies }) {
      for (let i = 0; i < 30; i++) {
        for (const proxy of proxies) proxy.resetAll()
        await wait(2_000)
      }
    },
  }),
  row(
    'refused-dials',
    '5 % of dials refused, with a reset every 5 s',
    'fault proxies before the relays’ Unix sockets',
    {
      stallMs: 3_000,
      async play({ proxies }) {
        for (const proxy of proxies) proxy.refusedPercent = 5
        for (let i = 0; i < 6; i++) {
          for (const proxy of proxies) proxy.resetAll()
          await wait(5_000)
        }
        for (const proxy of proxies) proxy.refusedPercent = 0
      },
    },
  ),
  row(
    'slow-uplink',
    '100 ms of delay and 10 Mbit/s on one executor',
    'fault proxies, for the links of one address',
    {
      stallMs: S + 2_000,
      async play({ proxies }) {
        for (const proxy of proxies) proxy.shapeLinksOf(VICTIM, { latencyMs: 100, bytesPerSecond: 1_250_000 })
        await wait(20_000)
        for (const proxy of proxies) proxy.shapeLinksOf(VICTIM, undefined)
      },
    },
  ),
  row(
    'redis-cut-one',
    'one relay of three cut off from Redis',
    'a TCP proxy before Redis, which resets and refuses',
    {
      stallMs: 5_000,
      async play({ redisProxies }) {
        redisProxies[0]?.cutOff()
        await wait(20_000)
        for (const proxy of redisProxies) proxy.refusedPercent = 0
        await wait(3_000)
      },
    },
  ),
  row('redis-cut-all', 'all relays cut off from Redis', 'TCP proxies before Redis, which reset and refuse', {
    stallMs: 1_000,
    async play({ redisProxies }) {
      for (const proxy of redisProxies) proxy.cutOff()
      await wait(20_000)
      for (const proxy of redisProxies) proxy.refusedPercent = 0
      await wait(3_000)
    },
  }),
  row(
    'redis-empty',
    'Redis SIGKILLed for 30 s, then empty on return',
    'SIGKILL to the redis-server, started again with nothing in it',
    {
      stallMs: S + 2_000,
      async play({ redis }) {
        await redis.kill()
        await wait(30_000)
        await redis.start()
        await wait(5_000)
      },
    },
  ),
  row(
    'redis-failover',
    'Redis failover (Sentinel)',
    'a master, a replica and three Sentinels; SIGKILL to the master',
    {
      stallMs: 5_000,
      directory: 'sentinels',
      async play({ redis, crowd }, note) {
        await redis.kill()
        const killedMs = performance.now()
        const late = await crowd.add(crowd.parties.length)
        await late.attached(30_000)
        note(`a new endpoint joined after ${Math.round(performance.now() - killedMs)} ms`)
        await wait(10_000)
      },
    },
  ),
  row(
    'freeze-reader',
    'one executor’s reader frozen (SIGSTOP of its JVM) for 20 s',
    'SIGSTOP and SIGCONT to an executor’s JVM',
    {
      stallMs: 2_000,
      async play({ job, fleet }, note) {
        const [executor] = ofKind(job.pid, 'executor')
        if (executor === undefined) throw new Error('no executor runs')
        process.kill(executor.pid, 'SIGSTOP')
        let most = 0
        for (let i = 0; i < 40; i++) {
          await wait(500)
          most = Math.max(most, (await fleet.totals()).get('slr_relay_queued_bytes') ?? 0)
        }
        process.kill(executor.pid, 'SIGCONT')
        note(`relays queued ${Math.round(most / 1024)} KiB at most`)
      },
    },
  ),
  row(
    'kill-function',
    'one executor’s function killed',
    'SIGKILL to a shim process; its peers’ tasks run again',
    {
      stallMs: 2_000,
      mayFailTasks: true,
      async play({ job }) {
        const [shim] = ofKind(job.pid, 'shim')
        if (shim === undefined) throw new Error('no shim runs')
        process.kill(shim.pid, 'SIGKILL')
        await wait(20_000)
      },
    },
  ),
]
