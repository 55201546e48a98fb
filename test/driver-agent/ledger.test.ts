import { describe, expect, it } from 'vitest'
import { Ledger } from '../../driver-agent/ledger.ts'
import { liveText } from '../../driver-agent/live-line.ts'
import {
  emptySummary,
  formatMiB,
  matrixLines,
  summarize,
  summaryLines,
  summarySchema,
} from '../../driver-agent/summary.ts'
import { quickest } from '../helper/quickest.ts'

const MiB = 1024 * 1024
const circumstances = {
  app: 'spark-1',
  driverResumes: 1,
  resets: { gone: 2 },
  droppedLogLines: 0,
  relayRestarts: 0,
  agentResidentBytes: 100 * MiB,
  relayResidentBytes: undefined,
}

function twoExecutors(): Ledger {
  const ledger = new Ledger('127.64.0.1', 1_000)
  for (const [index, address] of ['127.64.0.2', '127.64.0.3'].entries()) {
    const executor = {
      address,
      pod: `job-exec-${index + 1}`,
      executorId: String(index + 1),
      sparkApplication: 'spark-app',
      memoryBytes: 984 * MiB,
    }
    ledger.started(executor, 2_000)
  }
  return ledger
}

describe('the ledger of a run', () => {
  it('takes the larger of what both ends of a pair have told', () => {
    const ledger = twoExecutors()
    const [one, two] = ledger.executors
    if (one === undefined || two === undefined) throw new Error('two were started')
    ledger.traffic(one.address, [{ peer: '127.64.0.3', sentBytes: 10, receivedBytes: 7, streams: 1 }])
    // The second was killed before its last report.
    ledger.traffic(two.address, [{ peer: '127.64.0.2', sentBytes: 5, receivedBytes: 4, streams: 1 }])
    ledger.traffic('127.64.0.1', [{ peer: '127.64.0.2', sentBytes: 3, receivedBytes: 2, streams: 1 }])
    expect(ledger.matrix()).toEqual({
      names: ['driver', '1', '2'],
      bytes: [
        [0, 3, 0],
        [2, 0, 10],
        [0, 7, 0],
      ],
    })
    expect(ledger.relayed()).toEqual({ all: 22, betweenExecutors: 17 })
  })

  it('leaves out what an address sent to itself', () => {
    const ledger = twoExecutors()
    const [one] = ledger.executors
    if (one)
      ledger.traffic(one.address, [{ peer: one.address, sentBytes: 99, receivedBytes: 99, streams: 1 }])
    expect(ledger.relayed().all).toBe(0)
  })

  it('keeps sums only of thousands of executors, whose pairs would fill the memory', async () => {
    const ledger = new Ledger('127.64.0.1', 0)
    const count = 5_000
    const addressOf = (at: number): string => `127.64.${(at + 2) >> 8}.${(at + 2) & 255}`
    for (let at = 0; at < count; at++) {
      const address = addressOf(at)
      const executorId = String(at + 1)
      ledger.started({ address, pod: `exec-${at}`, executorId, sparkApplication: 'a', memoryBytes: MiB }, 0)
      ledger.traffic(address, [
        { peer: '127.64.0.1', sentBytes: 2, receivedBytes: 3, streams: 1 },
        { peer: addressOf((at + 1) % count), sentBytes: 5, receivedBytes: 0, streams: 1 },
        { peer: addressOf((at + count - 1) % count), sentBytes: 0, receivedBytes: 5, streams: 1 },
      ])
    }
    const relayedMs = async (): Promise<number> => {
      const beganMs = performance.now()
      expect(ledger.relayed()).toEqual({ all: 10 * count, betweenExecutors: 5 * count })
      return performance.now() - beganMs
    }
    expect(await quickest(200, relayedMs)).toBeLessThan(200) // a matrix took more than a second, and 800 MB
    expect(ledger.matrix()).toBeUndefined()
    const summary = summarize(ledger, { endedBy: 'spark', exitCode: 0 }, circumstances, 6_000)
    expect(summarySchema.parse(JSON.parse(JSON.stringify(summary)))).toMatchObject({
      relayedBytes: 10 * count,
    })
  })

  it('bills functions that run up to now, and ended ones up to their end', () => {
    const ledger = twoExecutors()
    ledger.ended('127.64.0.2', 'gone', 3_000)
    ledger.ended('127.64.0.2', 'again', 9_000)
    expect(ledger.bill(6_000).gbSeconds).toBeCloseTo(((1 + 4) * 984) / 1024, 9)
    expect(ledger.executor('127.64.0.2')?.end).toBe('gone')
  })

  it('finds the newest executor of an application', () => {
    const ledger = twoExecutors()
    expect(ledger.find('spark-app', '2')?.address).toBe('127.64.0.3')
    expect(ledger.find('another', '2')).toBeUndefined()
  })

  it('is told in one line while it runs', () => {
    const ledger = twoExecutors()
    const [one] = ledger.executors
    if (one) one.phase = 'running'
    expect(liveText(ledger, 66_000)).toMatch(
      /^1:05 · functions 1 starting 1 running · 0\.0 MiB relayed · \$0\.00\d+ /,
    )
  })
})

describe('the summary of a run', () => {
  it('is what its schema says, with sums of what the ledger holds', () => {
    const ledger = twoExecutors()
    const [one] = ledger.executors
    if (one) {
      ledger.traffic(one.address, [{ peer: '127.64.0.3', sentBytes: 3 * MiB, receivedBytes: 0, streams: 1 }])
      one.resumes = 4
    }
    const summary = summarize(ledger, { endedBy: 'spark', exitCode: 0 }, circumstances, 6_000)
    expect(summarySchema.parse(JSON.parse(JSON.stringify(summary)))).toMatchObject({
      endedBy: 'spark',
      wallMs: 5_000,
      functionsStarted: 2,
      functionMs: 8_000,
      relayedBytes: 3 * MiB,
      relayedBetweenExecutorsBytes: 3 * MiB,
      resumes: 5,
      resets: { gone: 2 },
    })
    expect(summaryLines(summary)[0]).toBe('2 functions started, 5.0 s wall time, 8.0 function-seconds')
  })

  it('names the function that came closest to the memory that its pod asks for', () => {
    const ledger = twoExecutors()
    const summary = () => summarize(ledger, { endedBy: 'spark', exitCode: 0 }, circumstances, 6_000)
    expect(summaryLines(summary()).join('\n')).not.toContain('memory:')
    for (const [index, record] of ledger.executors.entries())
      record.peakBytes = record.memoryBytes / (index + 2)
    const [first] = ledger.executors
    const asked = formatMiB(first?.memoryBytes ?? 0)
    expect(summaryLines(summary()).at(-1)).toBe(
      `memory: executor 1, the fullest, used up to ${formatMiB((first?.memoryBytes ?? 0) / 2)} MiB of the ${asked} MiB that its pod asks for`,
    )
  })

  it('says that no function was started, and why', () => {
    const ending = { endedBy: 'usage', exitCode: 2, reason: 'no Java' } as const
    const summary = emptySummary(new Ledger('127.64.0.1', 0), ending)
    expect(summarySchema.parse(JSON.parse(JSON.stringify(summary)))).toMatchObject(ending)
    expect(summaryLines(summary)).toEqual(['no Java', 'no function was started; 0.0 s'])
  })

  it('shows the matrix as a table whose columns are in line', () => {
    const lines = matrixLines({
      names: ['driver', '1'],
      bytes: [
        [0, 1.5 * MiB],
        [200 * MiB, 0],
      ],
    })
    expect(lines).toEqual([
      'MiB from \\ to  driver    1',
      'driver              ·  1.5',
      '1                 200    ·',
    ])
  })
})
