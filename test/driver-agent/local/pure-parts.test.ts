import { describe, expect, it } from 'vitest'
import { functionEnvironment } from '../../../driver-agent/local/environment.ts'
import { endOf, notStarted } from '../../../driver-agent/local/function.ts'
import { modeOf } from '../../../driver-agent/local/namespace.ts'
import { pageBytesOf, parseStat, treesOf } from '../../../driver-agent/local/process-table.ts'
import { isGone, type Owner } from '../../../driver-agent/local/run-folder.ts'
import { lookAt, MemorySampler, type Sampled } from '../../../driver-agent/local/sampler.ts'

describe("a function's environment", () => {
  it('has what Java and Python need, and none of the secrets of the agent', () => {
    const environment = functionEnvironment(
      {
        PATH: '/bin',
        JAVA_HOME: '/java',
        LC_ALL: 'C',
        AWS_SECRET_ACCESS_KEY: 's',
        SLR_SECRET: 's',
        SSH_AUTH_SOCK: '/x',
      },
      { HOME: '/tmp', JAVA_HOME: '/other' },
    )
    expect(environment).toEqual({ PATH: '/bin', LC_ALL: 'C', JAVA_HOME: '/other', HOME: '/tmp' })
  })
})

describe('how a function ended', () => {
  it('before it began: worth another try when the machine is full, wherever that showed', () => {
    const error = (code: string) => Object.assign(new Error(`${code}: open`), { code })
    expect(notStarted(error('EMFILE'))).toEqual({
      why: 'not-started',
      detail: 'EMFILE: open',
      retryable: true,
    })
    expect(notStarted(error('EACCES'))).toMatchObject({ retryable: false })
  })

  it.each([
    ['a setup that failed', 97, null, true, { why: 'not-started', detail: 'a | b', retryable: false }],
    ['a program that is missing', 127, null, true, { why: 'not-started', detail: 'a | b', retryable: false }],
    ['unshare that was refused', 1, null, false, { why: 'not-started', detail: 'a | b', retryable: false }],
    ['a shim that was killed', 137, null, true, { why: 'crashed', detail: 'signal 9' }],
    ['a function that was killed', null, 'SIGKILL', true, { why: 'crashed', detail: 'SIGKILL' }],
    [
      'a lifetime that the shim saw over',
      124,
      null,
      true,
      { why: 'timed-out', detail: 'its lifetime is over' },
    ],
    ['a shim that failed', 1, null, true, { why: 'exited', code: 1 }],
    ['a shim that is done', 0, null, true, { why: 'exited', code: 0 }],
  ] as const)('%s', (_, code, signal, isReady, end) => {
    expect(endOf(code, signal, isReady, ['a', 'b'])).toEqual(end)
  })
})

it('hands on what a program of ours complained about', () => {
  const lines = ['{"level":30}', 'spark-lambda-relay: no relay answers', '{"level":30}']
  expect(endOf(3, null, true, lines)).toEqual({ why: 'exited', code: 3, detail: 'no relay answers' })
  expect(endOf(0, null, true, lines)).toEqual({ why: 'exited', code: 0 })
})

it('takes an unshare that failed itself for a killed process 1', () => {
  const lines = ['unshare: sigprocmask unblock failed: Invalid argument']
  expect(endOf(1, null, true, lines)).toEqual({ why: 'crashed', detail: 'its process 1 was killed' })
})

describe('the process table', () => {
  const stat = (name: string, state = 'S') =>
    `42 (${name}) ${state} 7 42 42 0 -1 4194304 1 0 0 0 5 6 0 0 20 0 1 0 9876 123456 250 18446744073709551615`

  it('reads a process with an evil name', () => {
    expect(parseStat(stat('a) R 1 (b'), 4096)).toEqual({
      pid: 42,
      parent: 7,
      startTicks: 9876,
      residentBytes: 250 * 4096,
    })
  })

  it('takes a zombie for gone', () => {
    expect(parseStat(stat('x', 'Z'), 4096)).toBeUndefined()
  })

  it('finds all descendants and nobody else', () => {
    const row = (pid: number, parent: number) => ({ pid, parent, startTicks: 0, residentBytes: 1 })
    const treeOf = treesOf([row(9, 5), row(1, 0), row(5, 2), row(2, 1), row(3, 1)])
    expect(treeOf(2).map(({ pid }) => pid)).toEqual([2, 5, 9])
    expect(treeOf(77)).toEqual([])
  })

  it('reads the size of a page out of the auxiliary vector', () => {
    const auxiliary = Buffer.alloc(48)
    auxiliary.writeBigUInt64LE(33n, 0)
    auxiliary.writeBigUInt64LE(6n, 16)
    auxiliary.writeBigUInt64LE(65536n, 24)
    expect(pageBytesOf(auxiliary)).toBe(65536)
    expect(pageBytesOf(Buffer.alloc(0))).toBe(4096)
  })

  it('asks for exact memory only above the limit, and then believes it', () => {
    const tree = [1, 2].map((pid) => ({ pid, parent: 0, startTicks: 0, residentBytes: 60 }))
    const before = { residentBytes: 120, peakBytes: 90 }
    expect(lookAt(tree, before, 120, () => 1)).toEqual({ seen: before, usedBytes: 120 })
    expect(lookAt(tree, before, 119, () => 40)).toEqual({ seen: before, usedBytes: 80 })
    expect(lookAt(tree, before, 119, () => undefined).usedBytes).toBe(120)
  })

  it('asks for it as well when the tree has grown, and keeps the most', () => {
    const tree = [{ pid: 1, parent: 0, startTicks: 0, residentBytes: 100 }]
    const before = { residentBytes: 95, peakBytes: 70 }
    expect(lookAt(tree, before, 200, () => 80).seen).toEqual({ residentBytes: 100, peakBytes: 80 })
    expect(lookAt(tree, before, 200, () => 60).seen).toEqual({ residentBytes: 100, peakBytes: 70 })
    expect(lookAt(tree, { ...before, residentBytes: 96 }, 200, () => 80).seen.peakBytes).toBe(70)
  })

  it('is told for a function that was looked at, once it ends', async () => {
    const sampler = new MemorySampler()
    const over: number[] = []
    const one = (limitBytes: number): Sampled => ({
      rootPid: process.pid,
      limitBytes,
      onOver: (used) => over.push(used),
    })
    const [roomy, tight, late] = [one(2 ** 40), one(1), one(1)]
    for (const each of [roomy, tight]) sampler.add(each)
    await expect.poll(() => over.length).toBe(1)
    sampler.add(late)
    expect(sampler.remove(roomy)).toBeGreaterThan(20e6)
    expect(sampler.remove(tight)).toBe(over[0])
    expect(sampler.remove(late)).toBe(0)
  })
})

describe('the owner of a left-over folder', () => {
  const owner: Owner = { pid: 5, startTicks: 100, boot: 'b', pidNamespace: 'pid:[1]' }

  it('is gone when its pid is, or belongs to a later process, or the machine was booted again', () => {
    expect(isGone(owner, owner, undefined)).toBe(true)
    expect(isGone(owner, owner, 200)).toBe(true)
    expect(isGone(owner, { ...owner, boot: 'c' }, 100)).toBe(true)
  })

  it('lives when its process does, and when nobody here can know', () => {
    expect(isGone(owner, owner, 100)).toBe(false)
    expect(isGone(owner, { ...owner, pidNamespace: 'pid:[2]' }, undefined)).toBe(false)
  })
})

describe('the way to namespaces', () => {
  const status = (capabilities: string) => `Name:\tnode\nCapEff:\t${capabilities}\n`

  it('is without a user namespace only for a root with all it needs', () => {
    expect(modeOf(0, status('000001ffffffffff'))).toBe('root')
    expect(modeOf(0, status('00000000a80425fb'))).toBe('user') // a container's root
    expect(modeOf(0, status('000001fffffffeff'))).toBe('user') // may not take capabilities from others
    expect(modeOf(1000, status('0000000000000000'))).toBe('user')
  })
})
