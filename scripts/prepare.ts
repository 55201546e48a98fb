/**
 * `npm run setup`, also the first step of `npm test`: fetches what the tests need beside npm's
 * packages. Both Sparks and a Kubernetes client go into .cache/; Debian packages are installed
 * where we are root, else a sentence says which are missing. Quiet when all is there.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { ensureSpark } from '../driver-agent/spark-home.ts'
import { findProgram } from '../driver-agent/spawn.ts'
import { installKubernetesPython } from '../test/helper/kubernetes-python.ts'
import { testedSparks } from '../test/rows.ts'

/** Program that a test starts → Debian package that has it. */
const programs: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  nsenter: 'util-linux',
  ps: 'procps',
  nft: 'nftables',
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
  iperf3: 'iperf3',
  rsync: 'rsync',
  openssl: 'openssl',
  java: 'openjdk-17-jre-headless',
  javac: 'openjdk-17-jdk-headless',
  python3: 'python3',
}

/** Module of Python that fetches Spark or makes a folder of packages for a test → Debian package that has it. */
const pythonModules: Readonly<Record<string, string>> = {
  pip: 'python3-pip',
  ensurepip: 'python3-venv',
}

installPrograms()
for (const version of testedSparks) await fetchSpark(version)
const withoutKubernetes = await installKubernetesPython()
if (withoutKubernetes !== undefined) say(withoutKubernetes)

function installPrograms(): void {
  const missing = whatIsMissing()
  if (missing.length === 0) return
  const packages = [...new Set(missing.map(([, name]) => name))]
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    say(`installing ${packages.join(', ')}`)
    aptGet(['update'])
    aptGet(['install', '--yes', '--no-install-recommends', ...packages])
  }
  const left = whatIsMissing()
  if (left.length === 0) return
  const names = [...new Set(left.map(([, name]) => name))]
  say(
    `tests that need ${left.map(([program]) => program).join(', ')} will fail; install ${names.join(', ')} (Debian, Ubuntu: sudo apt-get install ${names.join(' ')})`,
  )
}

/** What tests start and this machine has not, each with its package. */
function whatIsMissing(): readonly (readonly [string, string])[] {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`
  const modules = Object.entries(pythonModules).filter(
    ([module]) => spawnSync('python3', ['-c', `import ${module}`], { stdio: 'ignore' }).status !== 0,
  )
  const absent = Object.entries(programs).filter(([program]) => findProgram(program, path) === undefined)
  return [...absent, ...modules.map(([module, from]) => [`python3 -m ${module}`, from] as const)]
}

function aptGet(args: readonly string[]): void {
  // Runlevel 1: packages start no servers of their own, tests start theirs.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  try {
    execFileSync('apt-get', ['-qq', ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (error) {
    say(
      `apt-get ${args[0]} failed: ${String((error as { stderr?: Buffer }).stderr)
        .trim()
        .split('\n')
        .at(-1)}`,
    )
  }
}

async function fetchSpark(version: string): Promise<void> {
  try {
    await ensureSpark(version, { environment: process.env, tell: say })
  } catch (error) {
    say((error as Error).message)
  }
}

function say(sentence: string): void {
  process.stderr.write(`setup: ${sentence}\n`)
}
