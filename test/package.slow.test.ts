/**
 * The package as people get it: packed here, installed elsewhere, run without anything of the
 * checkout. Needs npm's registry for its dependencies.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateKeyLine } from '../relay/token/index.ts'
import { asNode } from './helper/pretended-node.ts'

const folder = mkdtempSync(join(tmpdir(), 'slr-package-'))
const environment = { ...process.env, PATH: [dirname(process.execPath), process.env.PATH].join(delimiter) }
const program = join(folder, 'node_modules', '.bin', 'spark-lambda-relay')
let packed: readonly string[]

function npm(args: readonly string[], cwd: string): string {
  return execFileSync('npm', [...args], {
    cwd,
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

beforeAll(() => {
  const [pack] = JSON.parse(
    npm(['pack', '--json', '--loglevel=error', `--pack-destination=${folder}`], '.'),
  ) as [{ filename: string; files: { path: string }[] }]
  packed = pack.files.map(({ path }) => path)
  writeFileSync(join(folder, 'package.json'), '{"private":true}')
  npm(
    ['install', '--omit=dev', '--no-audit', '--no-fund', '--loglevel=error', join(folder, pack.filename)],
    folder,
  )
}, 180_000)
afterAll(() => rmSync(folder, { recursive: true }))

describe('the package', () => {
  it('holds the program, its papers and the protocol, and neither sources nor tests', () => {
    for (const file of [
      'bin/spark-lambda-relay.js',
      'dist/cli.js',
      'dist/bulk-worker.js',
      'dist/third-party-licenses.txt',
      'LICENSE',
      'README.md',
      'CHANGELOG.md',
      'relay/PROTOCOL.md',
      'package.json',
    ]) {
      expect(packed).toContain(file)
    }
    expect(packed.filter((file) => /\.ts$|^test\/|^scripts\//.test(file))).toEqual([])
    expect(existsSync(join(folder, 'node_modules', 'vitest'))).toBe(false)
  })

  it('explains itself by npx', () => {
    expect(npm(['exec', '--no', 'spark-lambda-relay', '--', '--help'], folder)).toContain(
      'Usage: spark-lambda-relay',
    )
  })

  it.each(['submit', 'agent', 'relay', 'doctor', 'exec', 'token'])('has the command %s', (command) => {
    const { status, stdout } = spawnSync(program, [command, '--help'], {
      cwd: folder,
      env: environment,
      encoding: 'utf8',
    })
    expect(stdout).toContain(`Usage: spark-lambda-relay ${command}`)
    expect(status).toBe(0)
  })

  describe('on an older Node', () => {
    const runAs = (version: string) =>
      spawnSync(process.execPath, [...asNode(version), program, '--version'], {
        cwd: folder,
        env: environment,
        encoding: 'utf8',
      })

    it.each(['12.22.12', '18.20.0', '21.7.3'])('says one sentence: %s', (version) => {
      const { status, stdout, stderr } = runAs(version)
      expect(stderr).toBe(
        `spark-lambda-relay: this is Node ${version}, but Node 22.0 or later is needed; install it from https://nodejs.org\n`,
      )
      expect(stdout).toBe('')
      expect(status).toBe(2)
    })

    it('starts from Node 22.0 on, since it is JavaScript by then', () => {
      expect(runAs('22.0.0')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
    })
  })

  it('looks at the machine', () => {
    const { stdout } = spawnSync(program, ['doctor', '--json'], {
      cwd: folder,
      env: environment,
      encoding: 'utf8',
    })
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ name: 'Java' }))
  })

  it('carries a program’s connection from one exec through a relay to another', async () => {
    const env = { ...environment, SLR_SECRET: generateKeyLine('k', '*'), SLR_LOG_LEVEL: 'error' }
    const children: ChildProcess[] = []
    const start = (args: readonly string[]) => {
      const child = spawn(program, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] })
      children.push(child)
      return createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    }
    try {
      const relay = start(['relay', '--listen', 'unix:relay.sock', '--announce'])
      expect(JSON.parse((await relay.next()).value ?? '')).toHaveProperty('listening')
      const endpoint = (address: string) => [
        'exec',
        '--relay',
        `unix:${join(folder, 'relay.sock')}`,
        '--app',
        'a',
        '--address',
        address,
      ]
      const serve =
        "require('net').createServer(s => s.end('hello from afar')).listen(0, '::1', function () { console.log(this.address().port) })"
      // The program picks its port itself, so a first run finds one that is free.
      const port = Number(
        execFileSync(
          process.execPath,
          [
            '-e',
            "require('net').createServer().listen(0, function () { console.log(this.address().port); this.close() })",
          ],
          { encoding: 'utf8' },
        ),
      )
      const server = start([
        ...endpoint('127.64.0.2'),
        '--serve',
        String(port),
        '--',
        process.execPath,
        '-e',
        serve.replace('listen(0', `listen(${port}`),
      ])
      await server.next()
      const dial = `require('net').connect(${port}, '127.64.0.2').on('data', d => process.stdout.write(d + '\\n'))`
      const client = start([
        ...endpoint('127.64.0.3'),
        '--dial',
        String(port),
        '--isolate',
        '--',
        process.execPath,
        '-e',
        dial,
      ])
      expect((await client.next()).value).toBe('hello from afar')
    } finally {
      // The relay, which came first, goes last.
      for (const child of children.reverse()) {
        const isOver = child.exitCode !== null || child.signalCode !== null
        const ended = isOver ? undefined : once(child, 'exit')
        child.kill('SIGTERM')
        await ended
      }
    }
  })
})
