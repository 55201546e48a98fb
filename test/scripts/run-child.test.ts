import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { runChild } from '../../scripts/run-child.ts'
import { makeTempFolder } from '../helper/temp-folder.ts'

const sh = (script: string): Promise<number> => runChild('/bin/sh', ['-c', script], process.env)

describe('a program that a script runs', () => {
  it('tells its exit code', async () => {
    expect(await sh('exit 7')).toBe(7)
  })

  it('gets the signal that would have ended the script, and is waited for', async () => {
    const folder = makeTempFolder('slr-run-child-')
    onTestFinished(() => folder.remove())
    const trapped = join(folder.path, 'trapped')
    const before = process.listenerCount('SIGTERM')
    const ends = sh(`trap "exit 3" TERM; : >${trapped}; while :; do sleep 0.05; done`)
    await expect.poll(() => existsSync(trapped), { timeout: 10_000 }).toBe(true)
    expect(process.listenerCount('SIGTERM')).toBe(before + 1)
    process.emit('SIGTERM', 'SIGTERM')
    expect(await ends).toBe(3)
    expect(process.listenerCount('SIGTERM')).toBe(before)
  })

  it('that cannot be started is told', async () => {
    await expect(runChild('/nowhere/program', [], process.env)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(process.listenerCount('SIGHUP')).toBe(0)
  })
})
