/** The single checks. Each looks at one thing and never rejects. Used by doctor/index.ts and its test. */
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { PORTS_OF_A_SESSION, pickFreePorts } from '../free-ports.ts'
import { findJava } from '../java.ts'
import { probeNamespaces } from '../local/index.ts'
import { findPython } from '../python.ts'
import { SetupError } from '../setup-error.ts'
import { downloadedSparkHome, findDownloader, versionAt } from '../spark-home.ts'
import { findProgram } from '../spawn.ts'
import type { Finding } from './finding.ts'

/** Of a session, and some for what Spark itself opens. */
const portsNeeded = PORTS_OF_A_SESSION + 3

export async function checkJava(sparkVersion: string, environment: NodeJS.ProcessEnv): Promise<Finding> {
  return await findingOf('Java', 'java', 'missing', async () => {
    const java = await findJava(sparkVersion, environment)
    return `Java ${java.version} (${java.program})`
  })
}

/** A Spark to download is no fault, but needs Python and pip: the finding says that it will happen. */
export async function checkSpark(sparkVersion: string, environment: NodeJS.ProcessEnv): Promise<Finding> {
  return await findingOf('Spark', 'spark', 'missing', async () => {
    const set = environment.SPARK_HOME
    if (set !== undefined && set !== '') return `Spark ${versionAt(set)} (SPARK_HOME=${set})`
    const home = downloadedSparkHome(sparkVersion, environment)
    if (existsSync(join(home, 'bin', 'spark-submit'))) return `Spark ${sparkVersion} (${home})`
    await findDownloader(sparkVersion, environment)
    return `SPARK_HOME is not set: Spark ${sparkVersion} is downloaded with the first job, about 450 MB`
  })
}

/** Jobs in Scala, Java and SQL need no Python, so its absence is a limit only. */
export async function checkPython(sparkVersion: string, environment: NodeJS.ProcessEnv): Promise<Finding> {
  return await findingOf('Python', 'python', 'limited', async () => {
    const python = await findPython(sparkVersion, environment)
    return `Python ${python.version} (${python.program})`
  })
}

export async function checkNamespaces(): Promise<Finding> {
  const probe = await probeNamespaces()
  if (probe.ok) {
    const how = probe.mode === 'root' ? 'as root' : 'as this user'
    return { name: 'namespaces', code: 'namespaces', is: 'fine', says: `can be made ${how}` }
  }
  return { name: 'namespaces', code: 'namespaces', is: 'missing', says: probe.cause, remedy: probe.remedy }
}

/**
 * What works without, but worse; and setpriv, without which no function is started on this machine (`isLocal`).
 * `unshare` is judged by checkNamespaces, which uses it. `systemPath`: searched after PATH, as functions do.
 */
export function checkPrograms(
  environment: NodeJS.ProcessEnv,
  isLocal = true,
  systemPath = '/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin',
): Finding {
  const base = { name: 'programs', code: 'programs' } as const
  const wanted = [
    { program: 'unshare', from: 'util-linux', else: 'executors cannot be isolated' },
    {
      program: 'setpriv',
      from: 'util-linux',
      else: isLocal
        ? 'executors would keep rights of root, so none is started'
        : 'what the agent starts may outlive it by some seconds when it is killed',
    },
    { program: 'ip', from: 'iproute2', else: 'perl or python3 must bring up the loopback of executors' },
  ]
  const absent = wanted.filter(
    ({ program }) => findProgram(program, `${environment.PATH}:${systemPath}`) === undefined,
  )
  if (absent.length === 0)
    return { ...base, is: 'fine', says: wanted.map(({ program }) => program).join(', ') }
  const packages = [...new Set(absent.map(({ from }) => from))]
  return {
    ...base,
    is: isLocal && absent.some(({ program }) => program === 'setpriv') ? 'missing' : 'limited',
    says: absent.map((each) => `no ${each.program}: ${each.else}`).join('; '),
    remedy: `install ${packages.join(' and ')} (Debian, Ubuntu: apt-get install ${packages.join(' ')})`,
  }
}

export async function checkPorts(): Promise<Finding> {
  return await findingOf('ports', 'ports', 'missing', async () => {
    const ports = await pickFreePorts(portsNeeded)
    return `${ports.length} free ones found at once`
  })
}

/** `text`: of /proc/self/limits. Each executor costs the agent a few, each stream one. */
export function checkDescriptors(text: string | undefined = readLimits()): Finding {
  const base = { name: 'descriptors', code: 'descriptors' } as const
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(text ?? '')?.[1]
  if (soft === undefined) return { ...base, is: 'fine', says: 'this system does not say how many' }
  const count = soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
  const remedy = 'run: ulimit -n 65536 (for good: LimitNOFILE of the service, or /etc/security/limits.conf)'
  if (count < 512)
    return {
      ...base,
      is: 'missing',
      says: `only ${count} open files are allowed, at least 512 are needed`,
      remedy,
    }
  if (count < 4096)
    return {
      ...base,
      is: 'limited',
      says: `${count} open files are enough for about ${Math.floor(count / 16)} executors`,
      remedy,
    }
  return { ...base, is: 'fine', says: `${soft} open files` }
}

/** Without ::1 the JVMs bind virtual addresses and there is a listener a peer. */
export async function checkIpv6Loopback(): Promise<Finding> {
  const base = { name: '::1', code: 'loopback' } as const
  if (await canBind('::1')) return { ...base, is: 'fine', says: 'can be bound' }
  return {
    ...base,
    is: 'limited',
    says: 'cannot be bound: each peer costs a listener, which suits small jobs only',
    remedy:
      'run: sysctl -w net.ipv6.conf.lo.disable_ipv6=0 (Docker: --sysctl net.ipv6.conf.all.disable_ipv6=0)',
  }
}

export function checkMachine(): Finding {
  const gib = (totalmem() / 1024 ** 3).toFixed(1)
  return {
    name: 'machine',
    code: 'programs',
    is: 'fine',
    says: `${availableParallelism()} cores, ${gib} GiB, Node ${process.versions.node}, ${process.platform}`,
  }
}

function canBind(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host, port: 0 }, () => server.close(() => resolve(true)))
  })
}

function readLimits(): string | undefined {
  try {
    return readFileSync('/proc/self/limits', 'latin1')
  } catch {
    return undefined // not Linux
  }
}

/** Fine with what `look` says, or `otherwise` with the sentence that it throws, split at the remedy. */
async function findingOf(
  name: string,
  code: SetupError['code'],
  otherwise: 'limited' | 'missing',
  look: () => Promise<string>,
): Promise<Finding> {
  try {
    return { name, code, is: 'fine', says: await look() }
  } catch (error) {
    const [says, ...remedy] = (error as Error).message.split('; ')
    return {
      name,
      code: error instanceof SetupError ? error.code : code,
      is: otherwise,
      says: says as string,
      ...(remedy.length === 0 ? {} : { remedy: remedy.join('; ') }),
    }
  }
}
