import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { Ledger } from '../../driver-agent/ledger.ts'
import { emptySummary } from '../../driver-agent/summary.ts'
import { writeSummary } from '../../driver-agent/write-summary.ts'

it('is read by programs; one that cannot be written is told, and the command ends as the job did', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'slr-summary-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const summary = emptySummary(new Ledger('127.64.0.1', 0), { endedBy: 'spark', exitCode: 0 })
  await writeSummary(summary, join(dir, 'summary.json'))
  expect(JSON.parse(readFileSync(join(dir, 'summary.json'), 'utf8'))).toMatchObject({ exitCode: 0 })
  const told = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  onTestFinished(() => told.mockRestore())
  await writeSummary(summary, join(dir, 'absent', 'summary.json'))
  expect(told).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/--summary-json.*ENOENT/))
})
