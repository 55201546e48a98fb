import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { formatFindings } from '../../../cli/doctor/run.ts'
import { checkDescriptors, checkPrograms } from '../../../driver-agent/doctor/checks.ts'
import { assertReady, type Finding, runDoctorChecks } from '../../../driver-agent/doctor/index.ts'

const limits = (count: number | string) =>
  `Limit Soft Hard Units\nMax open files            ${count}   4096  files\n`

const fine: Finding = { name: 'ports', code: 'ports', is: 'fine', says: '8 free ones' }
const limited: Finding = {
  name: '::1',
  code: 'loopback',
  is: 'limited',
  says: 'cannot be bound',
  remedy: 'run: sysctl',
}
const missing: Finding = {
  name: 'Java',
  code: 'java',
  is: 'missing',
  says: 'there is no java',
  remedy: 'install one',
}

describe('runDoctorChecks', () => {
  it('looks at everything a job needs, on the machine as it is', async () => {
    const findings = await runDoctorChecks({ sparkVersion: '4.3.0', environment: process.env })
    expect(findings.map(({ name }) => name)).toEqual([
      'machine',
      'namespaces',
      'Java',
      'Spark',
      'Python',
      'programs',
      'ports',
      'descriptors',
      '::1',
    ])
    for (const { is, name, remedy } of findings) if (is !== 'fine') expect(remedy, name).toBeTruthy()
  })

  it('finds Java missing where PATH leads nowhere, with a remedy', async () => {
    const findings = await runDoctorChecks({
      sparkVersion: '4.3.0',
      environment: { PATH: '/nowhere' },
      isLocal: false,
    })
    expect(findings.find(({ name }) => name === 'Java')).toMatchObject({
      is: 'missing',
      remedy: expect.stringMatching(/^(install|set JAVA_HOME)/),
    })
    expect(findings.find(({ name }) => name === 'Python')).toMatchObject({ is: 'limited' })
    expect(findings.some(({ name }) => name === 'namespaces')).toBe(false)
  })

  it('judges Java and Python by the Spark of SPARK_HOME', async () => {
    const environment = { PATH: '/nowhere', SPARK_HOME: '/nowhere/spark' }
    const findings = await runDoctorChecks({ sparkVersion: '4.3.0', environment, isLocal: false })
    expect(findings.find(({ name }) => name === 'Spark')).toMatchObject({
      is: 'missing',
      says: expect.stringContaining('SPARK_HOME=/nowhere/spark holds no Spark'),
    })
  })
})

describe('checkDescriptors', () => {
  it.each([
    ['64', 'missing'],
    ['1024', 'limited'],
    ['4096', 'fine'],
    ['unlimited', 'fine'],
  ])('finds %s open files %s', (count, is) => {
    expect(checkDescriptors(limits(count))).toMatchObject({ is })
  })
})

describe('checkPrograms', () => {
  const nowhere = { PATH: '/nowhere' }

  it('names what is absent, what that costs and the packages', () => {
    expect(checkPrograms(nowhere, true, '')).toEqual({
      name: 'programs',
      code: 'programs',
      is: 'missing',
      says: expect.stringMatching(
        /no unshare: .*; no setpriv: .* rights of root, so none is started; no ip: /,
      ),
      remedy: 'install util-linux and iproute2 (Debian, Ubuntu: apt-get install util-linux iproute2)',
    })
  })

  it('lets no job run on this machine without setpriv, but elsewhere, and here without ip', () => {
    expect(checkPrograms(nowhere, false, '')).toMatchObject({ is: 'limited' })
    const bin = mkdtempSync(join(tmpdir(), 'slr-doctor-'))
    onTestFinished(() => rmSync(bin, { recursive: true }))
    for (const name of ['unshare', 'setpriv']) writeFileSync(join(bin, name), '', { mode: 0o755 })
    expect(checkPrograms({ PATH: bin }, true, '')).toMatchObject({
      is: 'limited',
      says: expect.stringMatching(/^no ip: [^;]*$/),
    })
  })
})

describe('assertReady', () => {
  it('passes over limits, and throws the sentence and the remedy of what is missing', () => {
    expect(() => assertReady([fine, limited])).not.toThrow()
    expect(() => assertReady([fine, limited, missing])).toThrow('there is no java; install one')
  })
})

describe('formatFindings', () => {
  it('prints a line a finding, its remedy below, and the verdict', () => {
    expect(formatFindings([fine, limited, missing])).toBe(
      [
        'ok       ports  8 free ones',
        'limited  ::1    cannot be bound',
        '                -> run: sysctl',
        'MISSING  Java   there is no java',
        '                -> install one',
        '',
        'No job can run here: Java missing.',
        '',
      ].join('\n'),
    )
    expect(formatFindings([fine, limited])).toContain('\nJobs can run here.\n')
  })
})
