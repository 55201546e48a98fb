/** The same shuffle on machines that lack something: ::1, or a user with rights. */
import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type Namespaces, namespacesOf } from '../helper/namespaces.ts'
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

/** A folder and all below it that lasts as long as we look. */
function tree(folder: string): readonly string[] {
  return [folder, ...readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name)))]
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
    // Each function has a network, a view of the files and a user of its own; all else is in ours.
    const ours = namespacesOf('self')
    const functions = ofKind(job.pid, 'executor').map((one) => namespacesOf(one.pid))
    const outside = [...ofKind(job.pid, 'driver'), ...ofKind(job.pid, 'relay')]
    expect(outside.length).toBeGreaterThan(1)
    for (const kind of ['net', 'mnt', 'user'] as const satisfies (keyof Namespaces)[]) {
      expect(new Set([ours, ...functions].map((each) => each[kind])).size, kind).toBe(3)
      for (const { pid } of outside) expect(namespacesOf(pid)[kind]).toBe(ours[kind])
    }
    const base = join(machine.folder, `spark-lambda-relay-${NOBODY}`)
    const work = tree(base).filter((path) => /\/local-[^/]*\/./.test(path))
    expect(work.length).toBeGreaterThan(2)
    for (const path of [...tree(base), ...tree(job.runBase)]) {
      const entry = lstatSync(path, { throwIfNoEntry: false })
      if (entry !== undefined) expect([entry.uid, path]).toEqual([NOBODY, path])
    }
    for (const path of [base, job.runBase]) expect(lstatSync(path).mode & 0o777, path).toBe(0o700)
    await finish(job)
    expect(readdirSync(job.runBase).filter((name) => name.startsWith('run-'))).toEqual([])
  })
})
