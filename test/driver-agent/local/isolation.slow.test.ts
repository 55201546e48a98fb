import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { chmod, chown } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { howEnded } from '../../helper/how-ended.ts'
import type { Sight } from '../../helper/isolation-main.ts'
import { startFunction } from '../../helper/local-function.ts'
import type { LocalRun } from '../../helper/local-function-main.ts'
import { namespaceKinds, namespacesOf } from '../../helper/namespaces.ts'

const look = fileURLToPath(new URL('../../helper/isolation-main.ts', import.meta.url))
const isRoot = process.getuid?.() === 0
const NOBODY = 65534

const ways: readonly { readonly name: string; readonly run: Partial<LocalRun>; readonly user?: number }[] = [
  { name: 'as this user', run: {} },
  { name: 'as this user, without IPv6', run: { disableIpv6: true } },
  // Needs a root who can become somebody else; as another user, the first two are this case.
  ...(isRoot
    ? [
        { name: 'as an unprivileged user', run: {}, user: NOBODY },
        { name: 'as an unprivileged user, without IPv6', run: { disableIpv6: true }, user: NOBODY },
      ]
    : []),
]

describe.each(ways)('a function started $name', ({ run, user }) => {
  let folder: string
  let relay: Server
  let hostTcp: Server
  let sight: Sight
  let hostTargets: readonly string[]
  const outside = ['1.1.1.1:443', '169.254.169.254:80']

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'isolation-'))
    relay = createServer((socket) => socket.end())
    hostTcp = createServer((socket) => socket.end())
    const socketPath = join(folder, 'relay.sock')
    await new Promise<void>((resolve) => relay.listen(socketPath, resolve))
    await new Promise<void>((resolve) => hostTcp.listen(0, '::', resolve))
    const address = hostTcp.address()
    const port = typeof address === 'object' ? address?.port : undefined
    writeFileSync(join(folder, 'secret'), 'x')
    await chmod(folder, 0o755)
    await chmod(socketPath, 0o777)
    if (user !== undefined) await chown(folder, user, user)
    hostTargets = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .filter(({ scopeid = 0 }) => scopeid === 0)
      .map((host) => `${host.address}:${port}`)
    const targets = [...hostTargets, ...outside, socketPath, join(folder, 'other.sock')]
    const started = startFunction(
      { command: [process.execPath, look, ...targets], relays: [`unix:${socketPath}`], ...run },
      user,
      'hook',
    )
    expect(await howEnded(started.end)).toEqual({ why: 'exited', code: 0 })
    sight = JSON.parse(started.log()) as Sight
    started.agent.stdin?.end()
  })
  afterAll(async () => {
    await Promise.all([relay, hostTcp].map((server) => new Promise((resolve) => server.close(resolve))))
    rmSync(folder, { recursive: true })
  })

  it('shows only the loopback interface', () => {
    expect(sight.interfaces).toEqual(['lo'])
    expect(sight.loopback).toEqual(run.disableIpv6 === true ? ['127.0.0.1'] : ['127.0.0.1', '::1'])
    expect(sight.loopbackWorks).toBe(true)
  })

  it('reaches no address of the host, nor of the world, and learns it at once', () => {
    expect(hostTargets.length).toBeGreaterThan(1)
    for (const target of [...hostTargets, ...outside]) {
      expect(sight.connects[target]?.outcome, target).toMatch(/^(ECONNREFUSED|ENETUNREACH|EADDRNOTAVAIL)$/)
      expect(sight.connects[target]?.ms, target).toBeLessThan(2_500) // a packet that is dropped: 3 s
    }
  })

  it('reaches the relay by its socket', () => {
    expect(sight.connects[join(folder, 'relay.sock')]?.outcome).toBe('connected')
  })

  it('has a /tmp of its own, with nothing in it but the way to the relay', () => {
    // The test's folder, in which only the socket was bound, and where the programs are if they lie in /tmp.
    const [, , first = ''] = folder.split('/')
    const programs = [process.execPath, look]
      .filter((path) => path.startsWith('/tmp/'))
      .map((path) => path.split('/')[2])
    expect([...sight.tmp].sort()).toEqual([...new Set([first, ...programs])].sort())
  })

  it('has namespaces of its own, and one of users only where it takes one', () => {
    const host = namespacesOf('self')
    const shared = namespaceKinds.filter((kind) => sight.namespaces[kind] === host[kind])
    expect(shared).toEqual(isRoot && user === undefined ? ['user'] : [])
    for (const kind of namespaceKinds) expect(sight.namespaces[kind]).toMatch(/^[a-z]+:\[\d+\]$/)
  })

  it('sees its own processes only: the shell that is process 1, and itself', () => {
    expect(sight.processes).toBe(2)
  })

  it('may not mount, trace, or change its network', () => {
    const [CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_MKNOD] = [12n, 19n, 21n, 27n]
    const capabilities = BigInt(`0x${sight.effectiveCapabilities}`)
    for (const capability of [CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_MKNOD]) {
      expect(capabilities & (1n << capability)).toBe(0n)
    }
  })

  it('cannot set up the machine by its files, whoever owns them', () => {
    expect(sight.machineWritable).toEqual([])
  })

  it('inherits no more of the environment than is on the list', () => {
    const known =
      /^(PATH|JAVA_HOME|LANG|LANGUAGE|TZ|LC_.*|LD_LIBRARY_PATH|PYENV_.*|CONDA_PREFIX|VIRTUAL_ENV|PYSPARK_PYTHON|USER|LOGNAME|SPARK_USER|HOME|TMPDIR|SPARK_HOME|SLR_WORK_DIR|SLR_EXECUTOR_LOG|NODE_COMPILE_CACHE|MALLOC_ARENA_MAX|MALLOC_TRIM_THRESHOLD_|PWD|OLDPWD|SHLVL|_)$/
    expect(sight.environment.filter((name) => !known.test(name))).toEqual([])
  })
})
