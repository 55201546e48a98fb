/** The command `doctor`: prints what the machine allows and what to do about what it lacks. */
import { type Finding, runDoctorChecks } from '../../driver-agent/doctor/index.ts'
import type { CommandContext } from '../context.ts'
import { exitCodes } from '../exit.ts'
import type { DoctorOptions } from '../options/index.ts'

/** Answers 0 when a job can run here, 2 when something it needs is missing. */
export async function runDoctor(options: DoctorOptions, _context: CommandContext): Promise<number> {
  const findings = await runDoctorChecks({ sparkVersion: options.sparkVersion, environment: process.env })
  process.stdout.write(options.json ? `${JSON.stringify(findings, null, 2)}\n` : formatFindings(findings))
  return findings.some(({ is }) => is === 'missing') ? exitCodes.wrongUse : exitCodes.done
}

const marks = { fine: 'ok', limited: 'limited', missing: 'MISSING' } as const

/** A table, a line a finding, its remedy on a line of its own; the verdict last. Pure. */
export function formatFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length))
  const lines = findings.flatMap(({ name, is, says, remedy }) => {
    const line = `${marks[is].padEnd(8)} ${name.padEnd(width)}  ${says}`
    return remedy === undefined ? [line] : [line, `${' '.repeat(9 + width)}  -> ${remedy}`]
  })
  const missing = findings.filter(({ is }) => is === 'missing').map(({ name }) => name)
  const verdict =
    missing.length === 0 ? 'Jobs can run here.' : `No job can run here: ${missing.join(', ')} missing.`
  return `${[...lines, '', verdict].join('\n')}\n`
}
