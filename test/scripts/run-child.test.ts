import { describe, expect, it, vi } from 'vitest'
import { runChild } from '../../scripts/run-child.ts'

const sh = (script: string): Promise<number> => runChild('/bin/sh', ['-c', script], process.env)

describe('a program that a script runs', () => {
  it('tells its exit code', async () => {
    expect(await sh('exit 7')).toBe(7)
  })

  it('gets the signal that would have ended the script, and is waited for', async () => {
    const before = process.listenerCount('SIGTERM')
    const ends = sh('trap "exit 3" TERM; while :; do sleep 0.05; done')
    await vi.waitFor(() => expect(process.listenerCount('SIGTERM')).toBe(before + 1))
    // Until the shell has set its trap.
    await new Promise((resolve) => setTimeout(resolve, 300))
    process.emit('SIGTERM', 'SIGTERM')
    expect(await ends).toBe(3)
    expect(process.listenerCount('SIGTERM')).toBe(before)
  })

  it('that cannot be started is told', async () => {
    await expect(runChild('/nowhere/program', [], process.env)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(process.listenerCount('SIGHUP')).toBe(0)
  })
})
