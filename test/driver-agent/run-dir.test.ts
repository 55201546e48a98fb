import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  createRunDir,
  liveRunDirs,
  logsDirOf,
  removeLeftOvers,
  runDirBase,
  sendErrand,
} from '../../driver-agent/run-dir.ts'

let parent: string
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'slr-rd-'))
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

/** A folder whose agent was killed: the socket's file is there, nobody answers. */
function abandoned(base: string): string {
  const path = join(base, 'run-abandoned')
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, 'secret'), 'x')
  writeFileSync(join(path, 'live.sock'), '')
  return path
}

describe('the folder of a run', () => {
  it('is private to the user', async () => {
    const dir = await createRunDir(undefined, join(parent, 'base'))
    expect(statSync(dir.path).mode & 0o777).toBe(0o700)
    expect(statSync(join(parent, 'base')).mode & 0o777).toBe(0o700)
    await dir.remove()
    expect(existsSync(dir.path)).toBe(false)
  })

  it('of a killed agent is removed at the next start, that of a live one is not', async () => {
    const base = join(parent, 'base')
    const left = abandoned(base)
    const first = await createRunDir(undefined, base)
    const second = await createRunDir(undefined, base)
    expect(existsSync(left)).toBe(false)
    expect(await liveRunDirs(base)).toEqual(expect.arrayContaining([first.path, second.path]))
    await first.remove()
    await second.remove()
  })

  it('that has no socket yet is left alone for a while', async () => {
    const base = join(parent, 'base')
    const path = join(base, 'run-young')
    mkdirSync(path, { recursive: true, mode: 0o700 })
    expect(await removeLeftOvers(base)).toBe(0)
    const aMinuteAgo = Date.now() / 1000 - 60
    utimesSync(path, aMinuteAgo, aMinuteAgo)
    expect(await removeLeftOvers(base)).toBe(1)
  })

  it('is refused where somebody else could have made it', async () => {
    const base = join(parent, 'base')
    writeFileSync(base, '')
    await expect(createRunDir(undefined, base)).rejects.toThrow()
  })

  it('keeps logs of failed runs for a week', async () => {
    const logs = join(parent, 'logs-1')
    mkdirSync(logs)
    await removeLeftOvers(join(parent, 'base'), parent)
    expect(existsSync(logs)).toBe(true)
    const eightDaysAgo = Date.now() / 1000 - 8 * 24 * 3600
    utimesSync(logs, eightDaysAgo, eightDaysAgo)
    await removeLeftOvers(join(parent, 'base'), parent)
    expect(existsSync(logs)).toBe(false)
  })

  it('has its logs on disk, not in a folder of memory', () => {
    expect(logsDirOf('/run/user/7/spark-lambda-relay/run-abc')).toBe(
      join(tmpdir(), `spark-lambda-relay-${process.getuid?.()}`, 'logs-abc'),
    )
  })

  it('hands an errand to its agent, from its first moment on', async () => {
    const asked: string[] = []
    const dir = await createRunDir((errand) => asked.push(errand), join(parent, 'base'))
    const sent = sendErrand(dir.path, 'stop')
    await expect.poll(() => asked).toEqual(['stop'])
    // What ends the sender's wait is the end of the agent's process; here, nobody ends.
    const waits = Symbol('still waits')
    expect(await Promise.race([sent, new Promise((resolve) => setTimeout(resolve, 20, waits))])).toBe(waits)
    await dir.remove()
  })

  it('refuses errands of an agent that takes none, as submit', async () => {
    const dir = await createRunDir(undefined, join(parent, 'base'))
    expect(await sendErrand(dir.path, 'stop')).toBe(false)
    await dir.remove()
  })

  it('lies in XDG_RUNTIME_DIR where that is there, and short enough for a socket', () => {
    const temporary = join(tmpdir(), `spark-lambda-relay-${process.getuid?.()}`)
    expect(runDirBase({ XDG_RUNTIME_DIR: parent })).toBe(join(parent, 'spark-lambda-relay'))
    expect(runDirBase({ XDG_RUNTIME_DIR: join(parent, 'absent') })).toBe(temporary)
    const long = join(parent, 'x'.repeat(60))
    mkdirSync(long)
    expect(runDirBase({ XDG_RUNTIME_DIR: long })).toBe(temporary)
    expect(runDirBase({})).toBe(temporary)
  })
})

/** A folder of old logs with a file in it; answers that file. */
function oldLogs(logs: string): string {
  const folder = join(logs, 'logs-old')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  writeFileSync(join(folder, 'precious'), 'x')
  const eightDaysAgo = Date.now() / 1000 - 8 * 24 * 3600
  utimesSync(folder, eightDaysAgo, eightDaysAgo)
  return join(folder, 'precious')
}

const isRoot = process.getuid?.() === 0
const STRANGER = 54_321

describe('what somebody else put in the place of the logs', () => {
  let base: string
  let logs: string
  beforeEach(() => {
    base = join(parent, 'base')
    logs = join(parent, 'logs')
  })

  async function expectUntouched(precious: string): Promise<void> {
    await removeLeftOvers(base, logs)
    expect(existsSync(precious)).toBe(true)
    await expect(createRunDir(undefined, base, logs)).rejects.toMatchObject({
      code: 'setup',
      message: expect.stringMatching(/logs is another user's folder, a link or a file; .*set TMPDIR to /),
    })
    expect(existsSync(precious)).toBe(true)
    // Nothing is left for session.ts and the guardian to remove there.
    expect(existsSync(base)).toBe(false)
  }

  it('is left alone when it is a link to files of ours', async () => {
    const precious = oldLogs(join(parent, 'home'))
    symlinkSync(join(parent, 'home'), logs)
    await expectUntouched(precious)
  })

  it.skipIf(!isRoot)('is left alone when it is a folder of his', async () => {
    const precious = oldLogs(logs)
    chmodSync(logs, 0o755)
    chownSync(logs, STRANGER, STRANGER)
    await expectUntouched(precious)
    expect(statSync(logs)).toMatchObject({ uid: STRANGER, mode: 0o40755 })
  })

  it('is not read while others may write there, and made private before it is', async () => {
    const precious = oldLogs(logs)
    chmodSync(logs, 0o777)
    await removeLeftOvers(base, logs)
    expect(existsSync(precious)).toBe(true)
    const dir = await createRunDir(undefined, base, logs)
    expect(statSync(logs).mode & 0o777).toBe(0o700)
    expect(existsSync(precious)).toBe(false)
    await dir.remove()
  })

  it.skipIf(!isRoot)('is left alone when it lies in a folder of ours that was open to him', async () => {
    const precious = oldLogs(logs)
    chownSync(join(logs, 'logs-old'), STRANGER, STRANGER)
    await removeLeftOvers(base, logs)
    expect(existsSync(precious)).toBe(true)
  })

  it('has no agents that `agent --stop` would speak to', async () => {
    const dir = await createRunDir(undefined, base, logs)
    chmodSync(base, 0o777)
    expect(await liveRunDirs(base)).toEqual([])
    chmodSync(base, 0o700)
    expect(await liveRunDirs(base)).toEqual([dir.path])
    await dir.remove()
  })
})
