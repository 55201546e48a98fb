import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { describeMachine, machineId, parseCacheKib, readCommit } from '../../bench/measure/machine.ts'

describe('machines', () => {
  const one = { cpu: 'A CPU', cores: 2, memoryGib: 8, kernel: '6.1', congestionControl: 'bbr' }

  it('are told apart by cores, memory, kernel and congestion control', () => {
    const others = [{ cores: 4 }, { memoryGib: 16 }, { kernel: '6.2' }, { congestionControl: 'cubic' }]
    const ids = [one, ...others.map((other) => ({ ...one, ...other }))].map(machineId)
    expect(new Set(ids).size).toBe(5)
    expect(machineId({ ...one, cpu: 'Intel(R) Xeon(R) Processor @ 2.9GHz' })).toMatch(
      /^intel-xeon-2-[0-9a-f]{6}$/,
    )
  })

  it('say of themselves what their name is made of', () => {
    const here = describeMachine()
    expect(here.congestionControl).toMatch(/^\w+$/)
    expect(machineId({ congestionControl: '', ...here })).toBe(here.id)
  })

  it('have caches where sysfs tells of them', () => {
    expect([parseCacheKib('1024K'), parseCacheKib('32M'), parseCacheKib('')]).toEqual([
      1_024,
      32_768,
      undefined,
    ])
  })
})

describe('the commit of a result', () => {
  const folders: string[] = []
  afterEach(() => {
    for (const one of folders.splice(0)) rmSync(one, { recursive: true })
  })

  function repository(): string {
    const root = mkdtempSync(join(tmpdir(), 'bench-commit-'))
    folders.push(root)
    const git = (...args: readonly string[]): void => {
      execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], {
        cwd: root,
        stdio: 'ignore',
      })
    }
    git('init')
    git('commit', '--allow-empty', '-m', 'one')
    return root
  }

  function add(root: string, folder: string): void {
    mkdirSync(join(root, folder), { recursive: true })
    writeFileSync(join(root, folder, 'file'), '')
  }

  it.each(['relay', 'driver-agent', 'bench/benches'])('has changes when %s has some', (folder) => {
    const root = repository()
    expect(readCommit(root)).toMatchObject({ hash: expect.stringMatching(/^[0-9a-f]{10}$/), isDirty: false })
    add(root, folder)
    expect(readCommit(root).isDirty).toBe(true)
  })

  it.each(['bench/results/here', 'docs'])('has none for what is in %s, where runs write', (folder) => {
    const root = repository()
    add(root, folder)
    expect(readCommit(root).isDirty).toBe(false)
  })

  it('is none where there is no repository', () => {
    const root = mkdtempSync(join(tmpdir(), 'bench-commit-'))
    folders.push(root)
    expect(readCommit(root)).toEqual({ hash: 'none', isDirty: true })
  })
})
