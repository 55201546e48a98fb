/**
 * `npm run setup`, also the first step of `npm test`: fetches what the tests need beside npm's
 * packages. Both Sparks go into .cache/; Debian packages are installed where we are root, else
 * a sentence says which are missing. Quiet when all is there.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { ensureSpark } from '../driver-agent/spark-home.ts'
import { findProgram } from '../driver-agent/spawn.ts'
import { testedSparks } from '../test/rows.ts'

/** Program that a test starts → Debian package that has it. */
const programs: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  ps: 'procps',
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
  iperf3: 'iperf3',
  rsync: 'rsync',
  openssl: 'openssl',
  java: 'openjdk-17-jre-headless',
  javac: 'openjdk-17-jdk-headless',
  python3: 'python3-pip',
}

installPrograms()
for (const version of testedSparks) await fetchSpark(version)

function installPrograms(): void {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`
  const missing = Object.entries(programs).filter(([program]) => findProgram(program, path) === undefined)
  if (missing.length === 0) return
  const packages = [...new Set(missing.map(([, name]) => name))]
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    say(`installing ${packages.join(', ')}`)
    aptGet(['update'])
    aptGet(['install', '--yes', '--no-install-recommends', ...packages])
  }
  const left = missing.filter(([program]) => findProgram(program, path) === undefined)
  if (left.length === 0) return
  const names = [...new Set(left.map(([, name]) => name))]
  say(
    `tests that need ${left.map(([program]) => program).join(', ')} will fail; install ${names.join(', ')} (Debian, Ubuntu: sudo apt-get install ${names.join(' ')})`,
  )
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
