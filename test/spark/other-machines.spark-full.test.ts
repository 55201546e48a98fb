/** The same shuffle on machines that lack something: ::1, or a user with rights. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type Submitted, sparkVersions, startSubmit } from './harness.ts'
import { isRoot, machineWithoutIpv6, NOBODY, type OtherMachine, unprivilegedUser } from './other-machines.ts'
import { descendants, ofKind } from './processes.ts'
import { rightSums, sumsProgram } from './sums.ts'

let job: Submitted | undefined
let machine: OtherMachine | undefined
afterEach(async () => {
  await job?.remove()
  machine?.remove()
  job = undefined
  machine = undefined
})

async function startSums(version: (typeof sparkVersions)[number], on: OtherMachine): Promise<Submitted> {
  const { under, env, owner } = on
  const program = [...sumsProgram, '{folder}']
  return startSubmit({ version, program, under, env, ...(owner === undefined ? {} : { owner }) })
}

async function finish(started: Submitted): Promise<void> {
  writeFileSync(join(started.folder, 'go-on'), '')
  expect(await started.ended, started.output.slice(-3_000)).toBe(0)
  expect(started.result()).toMatchObject(rightSums)
  expect(started.events().failedTasks).toEqual([])
  expect(started.summary()).toMatchObject({ endedBy: 'spark', functionsStarted: 2 })
  expect(started.summary().relayedBetweenExecutorsBytes).toBeGreaterThan(100_000)
}

/** Addresses in /proc/net/if_inet6 as a process sees it; none without the file. */
function ipv6Addresses(pid: number): string[] {
  const file = `/proc/${pid}/net/if_inet6`
  return existsSync(file) ? readFileSync(file, 'latin1').split('\n').filter(Boolean) : []
}

describe.each(sparkVersions)('Spark %s', (version) => {
  it('shuffles where nobody has IPv6: each JVM on its own address, a listener per peer', async () => {
    machine = machineWithoutIpv6()
    job = await startSums(version, machine)
    await job.saw('summed', 240_000)
    const [driver] = ofKind(job.pid, 'driver')
    const executors = ofKind(job.pid, 'executor')
    expect(executors).toHaveLength(2)
    for (const { pid } of [...executors, ...(driver === undefined ? [] : [driver])]) {
      expect(ipv6Addresses(pid)).toEqual([])
    }
    expect(executors.map(({ command }) => / --bind-address (\S+)/.exec(command)?.[1]).sort()).toEqual([
      '127.64.0.2',
      '127.64.0.3',
    ])
    await finish(job)
  })

  // As another user than root, every other test here is this one.
  it.skipIf(!isRoot)('shuffles as a user without rights, in user namespaces', async () => {
    machine = unprivilegedUser()
    job = await startSums(version, machine)
    await job.saw('summed', 240_000)
    const all = descendants(job.pid)
    expect(ofKind(job.pid, 'executor')).toHaveLength(2)
    for (const { pid, command } of all) {
      const uids = /^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
      expect(uids?.split(/\s+/), command).toEqual(Array.from({ length: 4 }, () => String(NOBODY)))
    }
    await finish(job)
    expect(readdirSync(job.runBase).filter((name) => name.startsWith('run-'))).toEqual([])
  })
})
