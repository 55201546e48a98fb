import { randomUUID } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { chown } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type ProcessRow, processRow } from '../../../driver-agent/local/process-table.ts'
import { howEnded } from '../../helper/how-ended.ts'
import { processesMarked, startFunction, until } from '../../helper/local-function.ts'

const isRoot = process.getuid?.() === 0
const users: readonly (number | undefined)[] = isRoot ? [undefined, 65534] : [undefined]

/** A function that keeps what a JVM would: a worker, and one that left its session. */
const family = ['sh', '-c', 'sleep 300 & setsid sleep 301 & echo up >&3; wait']

async function workRoot(user: number | undefined): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'ends-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  if (user !== undefined) await chown(folder, user, user)
  return folder
}

/** A mark that all processes of a function carry in their environment. */
function newMark(): { readonly env: Record<string, string>; readonly text: string } {
  const value = randomUUID()
  return { env: { TEST_MARK: value }, text: `TEST_MARK=${value}` }
}

/** A function whose program is a shell, from the outside in. A worker is a shell too until it has become `sleep`. */
interface Chain {
  readonly unshare: number
  readonly processOne: number
  readonly program: number
  readonly workers: readonly number[]
}

/** Settles when the function has `workers` workers that sleep. */
async function chainOf(mark: string, workers: number): Promise<Chain> {
  let rows: readonly ProcessRow[] = []
  const sleepers = () => rows.filter(({ pid }) => isSleep(pid)).map(({ pid }) => pid)
  const isSettled = () => {
    rows = processesMarked(mark).flatMap((pid) => processRow(pid) ?? [])
    return sleepers().length === workers && rows.length === workers + 3
  }
  await until(isSettled, 20_000, 'all workers sleep')
  const childOf = (parent: number) =>
    rows.find((row) => row.parent === parent && !isSleep(row.pid))?.pid ?? Number.NaN
  const pids = new Set(rows.map(({ pid }) => pid))
  const unshare = rows.find(({ parent }) => !pids.has(parent))?.pid ?? Number.NaN
  const processOne = childOf(unshare)
  return { unshare, processOne, program: childOf(processOne), workers: sleepers() }
}

function isSleep(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('sleep\0')
  } catch {
    return false // gone
  }
}

describe.each(users)('a function of user %s', (user) => {
  it.each(['agent', 'unshare', 'processOne', 'program'] as const)(
    'leaves nothing behind when its %s is killed',
    async (victim) => {
      const mark = newMark()
      const root = await workRoot(user)
      const started = startFunction({ command: family, env: mark.env, workRoot: root }, user)
      await started.ready
      const chain = await chainOf(mark.text, 2)
      if (victim === 'agent') started.agent.kill('SIGKILL')
      else {
        process.kill(chain[victim], 'SIGKILL')
        expect((await started.end).why).toBe('crashed')
      }
      await until(() => processesMarked(mark.text).length === 0, 10_000, 'all processes gone')
      if (victim !== 'agent') {
        await started.closed
        expect(readdirSync(root)).toEqual([])
      }
    },
  )

  it('goes on when one of its workers is killed', async () => {
    const mark = newMark()
    const root = await workRoot(user)
    const started = startFunction(
      { command: ['sh', '-c', 'sleep 300 & echo up >&3; wait; exit 7'], env: mark.env, workRoot: root },
      user,
    )
    await started.ready
    const [worker = Number.NaN] = (await chainOf(mark.text, 1)).workers
    process.kill(worker, 'SIGKILL')
    expect(await howEnded(started.end)).toEqual({ why: 'exited', code: 7 })
  })

  it('ends when its lifetime is over', async () => {
    const mark = newMark()
    const root = await workRoot(user)
    const since = performance.now()
    const started = startFunction(
      { command: family, env: mark.env, workRoot: root, maxLifetimeMs: 1000 },
      user,
    )
    expect(await howEnded(started.end)).toEqual({ why: 'timed-out', detail: 'lived for its 1 s' })
    expect(performance.now() - since).toBeLessThan(30_000) // of 300 s
    expect(processesMarked(mark.text)).toEqual([])
  })

  it('ends when all its processes together use more memory than it has', async () => {
    const mark = newMark()
    const root = await workRoot(user)
    // Two that are each within the limit.
    const eat = 'globalThis.b = Buffer.alloc(90e6, 1); setInterval(() => {}, 1e6)'
    const started = startFunction(
      {
        // Node is a word of its own, so that functions see it wherever this checkout lies.
        command: ['sh', '-c', '"$1" -e "$2" & "$1" -e "$2" & wait', 'sh', process.execPath, eat],
        env: mark.env,
        workRoot: root,
        memoryBytes: 180 * 1024 * 1024,
      },
      user,
    )
    expect(await started.end).toMatchObject({
      why: 'memory',
      detail: expect.stringMatching(/^used \d+ of 180 MiB$/),
    })
    expect(processesMarked(mark.text)).toEqual([])
  })

  it('lives on while it stays within its memory, and what it took is told at its end', async () => {
    const root = await workRoot(user)
    const eat = `globalThis.b = Buffer.alloc(90e6, 1); setTimeout(() => process.exit(5), 2500)`
    const started = startFunction(
      { command: [process.execPath, '-e', eat], workRoot: root, memoryBytes: 180 * 1024 * 1024 },
      user,
    )
    const end = await started.end
    expect(end).toEqual({ why: 'exited', code: 5, peakBytes: end.peakBytes })
    expect(end.peakBytes).toBeGreaterThan(90e6)
    expect(end.peakBytes).toBeLessThan(180 * 1024 * 1024)
  })

  it('is stopped at once, with nothing left when that is told', async () => {
    const mark = newMark()
    const root = await workRoot(user)
    const started = startFunction({ command: family, env: mark.env, workRoot: root }, user)
    await started.ready
    const since = performance.now()
    started.agent.kill('SIGTERM')
    expect(await started.end).toMatchObject({ why: 'stopped' })
    expect(performance.now() - since).toBeLessThan(10_000)
    expect(processesMarked(mark.text)).toEqual([])
    await started.closed
    expect(readdirSync(root)).toEqual([])
  })

  it('is removed from the disk by the next start when the agent was killed', async () => {
    const root = await workRoot(user)
    const first = startFunction(
      { command: ['sh', '-c', 'echo x >/tmp/left; echo up >&3; sleep 300'], workRoot: root },
      user,
    )
    await first.ready
    const [left = ''] = readdirSync(root)
    expect(readFileSync(join(root, left, 'local-1', 'left'), 'utf8')).toBe('x\n')
    first.agent.kill('SIGKILL')
    await new Promise((resolve) => first.agent.once('exit', resolve))
    const second = startFunction({ command: ['true'], workRoot: root }, user)
    await second.closed
    expect(readdirSync(root)).toEqual([])
  })

  it('may leave folders that nobody may write, which are removed all the same', async () => {
    const root = await workRoot(user)
    const leave = 'echo up >&3; mkdir -p /tmp/a/b/c; echo x >/tmp/a/b/c/x; chmod -R a-w /tmp/a'
    const started = startFunction({ command: ['sh', '-c', leave], workRoot: root }, user)
    expect(await howEnded(started.end)).toEqual({ why: 'exited', code: 0 })
    await started.closed
    expect(readdirSync(root)).toEqual([])
  })

  it('gets its payload unseen by anyone who lists processes', async () => {
    const mark = newMark()
    const root = await workRoot(user)
    const token = `token-${randomUUID()}`
    const command = ['sh', '-c', 'read -r line; echo "$line" >&3; sleep 300']
    const started = startFunction({ command, env: mark.env, workRoot: root, token }, user)
    await started.ready
    expect(started.log()).toContain(token)
    const seenIn = readdirSync('/proc').filter((pid) => {
      // The agent in small gets it as an argument from this test; a real one makes it.
      if (!/^\d+$/.test(pid) || Number(pid) === started.agent.pid) return false
      try {
        const files = ['cmdline', ...(processesMarked(mark.text).includes(Number(pid)) ? ['environ'] : [])]
        return files.some((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1').includes(token))
      } catch {
        return false
      }
    })
    expect(seenIn).toEqual([])
  })

  it('says why it could not be started', async () => {
    const root = await workRoot(user)
    const started = startFunction({ command: ['/nonexistent/shim'], workRoot: root }, user)
    expect(await started.end).toMatchObject({
      why: 'not-started',
      retryable: false,
      detail: expect.stringContaining('/nonexistent/shim'),
    })
  })

  it('has a /tmp of the size that was asked for', async () => {
    const root = await workRoot(user)
    const fill =
      'dd if=/dev/zero of=/tmp/filled-by-the-test bs=1M count=100 2>&3; stat -c %s /tmp/filled-by-the-test >&3'
    const started = startFunction(
      { command: ['sh', '-c', fill], workRoot: root, tmpBytes: 64 * 1024 * 1024 },
      user,
    )
    await started.end
    expect(started.log()).toContain('No space left on device')
    expect(Number(started.log().trim().split('\n').at(-1))).toBeLessThanOrEqual(64 * 1024 * 1024)
  })
})
