import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readFailures } from '../../scripts/event-log-failures.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'slr-log-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const task = (reason: string, failed: boolean, killed = false): object => ({
  Event: 'SparkListenerTaskEnd',
  'Stage ID': 1,
  'Task End Reason': { Reason: reason },
  'Task Info': { 'Task ID': 1, Failed: failed, Killed: killed },
})
const events = [
  { Event: 'SparkListenerLogStart', 'Spark Version': '4.3.0' },
  { Event: 'SparkListenerExecutorAdded', 'Executor ID': '1' },
  task('Success', false),
  task('FetchFailed', true),
  task('ExecutorLostFailure', true),
  task('TaskKilled', true, true),
  { Event: 'SparkListenerStageCompleted', 'Stage Info': { 'Stage ID': 1, 'Stage Attempt ID': 1 } },
  { Event: 'SparkListenerStageCompleted', 'Stage Info': { 'Stage ID': 2, 'Stage Attempt ID': 0 } },
]
const lines = `${events.map((event) => JSON.stringify(event)).join('\n')}\n`
const expected = {
  tasks: 4,
  failedTasks: 2,
  fetchFailures: 1,
  executorLost: 1,
  repeatedStages: 1,
  executorsAdded: 1,
  executorsRemoved: 0,
}

describe('failures in an event log', () => {
  it('are counted in a plain file, in one that is still written, and in zstd', () => {
    const path = folder()
    writeFileSync(join(path, 'app'), lines)
    writeFileSync(join(path, 'app.inprogress'), `${lines}{"Event":"SparkListenerTaskEnd","cut`)
    writeFileSync(join(path, 'app.zstd'), zstdCompressSync(Buffer.from(lines)))
    for (const name of ['app', 'app.inprogress', 'app.zstd'])
      expect(readFailures(join(path, name))).toEqual(expected)
  })

  it('are counted over all parts of a rolling log', () => {
    const path = join(folder(), 'eventlog_v2_app')
    mkdirSync(path)
    for (const part of [1, 2, 10]) writeFileSync(join(path, `events_${part}_app`), lines)
    writeFileSync(join(path, 'appstatus_app'), '')
    expect(readFailures(path)).toMatchObject({ tasks: 12, fetchFailures: 3 })
  })

  it('are not guessed at in what cannot be read', () => {
    const path = join(folder(), 'app.lz4')
    writeFileSync(path, 'x')
    expect(() => readFailures(path)).toThrow(/spark.eventLog.compress=false/)
  })
})
