/** `exec` as a user starts it, with a relay in a process of its own. */

import { once } from 'node:events'
import { chmodSync, chownSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { generateKeyLine } from '../../relay/token/index.ts'
import { ExecWorld, eventually, freePorts } from '../helper/exec-world.ts'

let world: ExecWorld
beforeEach(async () => {
  world = await ExecWorld.start()
})
afterEach(() => world.close())

/** Answers each connection with all that it sent, in capitals, once it has ended. */
const shouter = `
  require('net').createServer({ allowHalfOpen: true }, (socket) => {
    let text = ''
    socket.on('data', (bytes) => { text += bytes }).on('end', () => socket.end(text.toUpperCase()))
  }).listen(+process.argv[1], '::1', () => console.log('listening'))`

/** Sends its stdin to host and port, prints what comes back. */
const caller = `
  const socket = require('net').connect({ host: process.argv[1], port: +process.argv[2], allowHalfOpen: true })
  process.stdin.pipe(socket).pipe(process.stdout)
  socket.on('error', (error) => { console.error(error.code); process.exitCode = 3 })`

const node = process.execPath

async function call(
  address: number,
  to: string,
  port: number,
  stdin = 'hello',
  more: readonly string[] = [],
  as: readonly string[] = [],
): Promise<string> {
  const { finished } = world.exec(address, [node, '-e', caller, to, String(port)], {
    dial: [String(port)],
    stdin,
    options: more,
    as,
  })
  const { code, out, err } = await finished
  if (code !== 0) throw new Error(`the caller ended with ${code}: ${err}`)
  return out
}

describe('exec', () => {
  it('passes stdin, stdout, arguments and the exit code through', async () => {
    const run = world.exec(2, ['sh', '-c', 'cat; echo "$1 $2" >&2; exit 7', 'sh', 'a b', "c'd"], {
      stdin: 'in',
    })
    expect(await run.finished).toEqual({ code: 7, out: 'in', err: "a b c'd\n" })
  })

  it('passes SIGTERM on and answers 143', async () => {
    const run = world.exec(2, ['sh', '-c', 'echo up; exec sleep 60'])
    await new Promise((resolve) => run.child.stdout?.once('data', resolve))
    run.child.kill('SIGTERM')
    expect((await run.finished).code).toBe(143)
  })

  it('passes on a SIGTERM that comes as soon as the command runs', async () => {
    const runs = Array.from({ length: 8 }, (_, i) =>
      world.exec(10 + i, ['sh', '-c', 'kill -TERM $PPID; exec sleep 60']),
    )
    for (const run of runs) expect((await run.finished).code).toBe(143)
  })

  it('lets a command that handles SIGTERM end as it likes', async () => {
    const script = `process.on('SIGTERM', () => process.exit(5)); setInterval(() => {}, 1000); console.log('up')`
    const run = world.exec(2, [node, '-e', script])
    await new Promise((resolve) => run.child.stdout?.once('data', resolve))
    run.child.kill('SIGTERM')
    expect((await run.finished).code).toBe(5)
  })

  it('leaves no command behind when it is killed', async () => {
    const run = world.exec(2, ['sh', '-c', 'echo $$; exec sleep 300'])
    const pid = await new Promise<number>((resolve) =>
      run.child.stdout?.once('data', (text) => resolve(Number(text))),
    )
    run.child.kill('SIGKILL')
    await run.finished
    await eventually(async () => expect(() => process.kill(pid, 0)).toThrow())
  })

  it('joins what one dials to what another serves, urgent and bulk', async () => {
    const [port = 0, target = 0] = await freePorts(2)
    world.exec(3, [node, '-e', shouter, String(target)], { serve: [`${port}=[::1]:${target}`] })
    expect(await eventually(() => call(2, '127.64.0.3', port))).toBe('HELLO')
    const urgent = world.exec(4, [node, '-e', caller, '127.64.0.3', String(port)], {
      dial: [`${port}:urgent`],
      stdin: 'now',
    })
    expect((await urgent.finished).out).toBe('NOW')
  })

  it.each(['urgent', 'bulk'])(
    'brings the last bytes of a %s stream over a relay that is away',
    async (kind) => {
      const [port = 0, target = 0] = await freePorts(2)
      const collector = `
      const server = require('net').createServer((socket) => {
        socket.on('data', (bytes) => { process.stdout.write(bytes); socket.write('.') })
        socket.on('end', () => server.close())
      }).listen(+process.argv[1], '::1')`
      const hasty = `
      const socket = require('net').connect(+process.argv[1], '127.64.0.3', () => socket.write('hi '))
      socket.on('error', () => process.exit(3)).once('data', () => {
        console.log('up')
        setTimeout(() => socket.end('last words', () => process.exit(7)), 1000)
      })`
      const server = world.exec(3, [node, '-e', collector, String(target)], {
        serve: [`${port}=[::1]:${target}`],
      })
      const client = await eventually(async () => {
        const run = world.exec(2, [node, '-e', hasty, String(port)], { dial: [`${port}:${kind}`] })
        const heard = await Promise.race([once(run.child.stdout as Readable, 'data'), run.finished])
        if (!Array.isArray(heard)) throw new Error(heard.err)
        return run
      })
      await world.killRelay()
      await wait(2_500)
      await world.startRelay()
      expect((await client.finished).code).toBe(7)
      expect((await server.finished).out).toBe('hi last words')
    },
  )

  it('runs ten of them side by side', async () => {
    const ports = await freePorts(11)
    const target = ports[10] ?? 0
    world.exec(99, [node, '-e', shouter, String(target)], {
      serve: ports.slice(0, 10).map((port) => `${port}=[::1]:${target}`),
    })
    await eventually(() => call(50, '127.64.0.99', ports[0] ?? 0))
    const answers = await Promise.all(
      ports.slice(0, 10).map((port, index) => call(10 + index, '127.64.0.99', port, `i am ${index}`)),
    )
    expect(answers).toEqual(Array.from({ length: 10 }, (_, index) => `I AM ${index}`))
  })

  it('isolated, sees loopback only, reaches no address of the host, and is still served', async () => {
    const [port = 0] = await freePorts(1)
    const script = `
      const seen = { names: Object.keys(require('os').networkInterfaces()), uid: process.getuid() }
      require('fs').writeFileSync(process.argv[2], JSON.stringify(seen))
      ${shouter}`
    const seen = join(world.dir, 'seen.json')
    world.exec(3, [node, '-e', script, String(port), seen], { serve: [String(port)], options: ['--isolate'] })
    expect(await eventually(() => call(2, '127.64.0.3', port))).toBe('HELLO')
    // The same number on both sides: two namespaces, so nothing collides.
    expect(await call(4, '127.64.0.3', port, 'inside', ['--isolate'])).toBe('INSIDE')
    expect(JSON.parse(readFileSync(seen, 'utf8'))).toEqual({ names: ['lo'], uid: process.getuid?.() })
    const outside = world.exec(
      5,
      ['sh', '-c', 'cat /proc/net/dev | grep -c :; cat /proc/net/route | wc -l'],
      {
        options: ['--isolate'],
      },
    )
    expect((await outside.finished).out).toBe('1\n1\n')
  })

  it.skipIf(process.getuid?.() !== 0)(
    'works where there is no ::1, with a listener for each peer',
    async () => {
      const [port = 0] = await freePorts(1)
      const without = 'ip link set lo up && echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 && exec "$@"'
      const as = ['unshare', '--net', '--', 'sh', '-c', without, 'sh']
      // Bound to its own address, and reached there: a wildcard listener would be in its way.
      const server = shouter.replace("'::1'", "'127.64.0.3'")
      world.exec(3, [node, '-e', server, String(port)], {
        serve: [String(port)],
        dial: [String(port)],
        as,
      })
      const attempt = (): Promise<string> => call(2, '127.64.0.3', port, 'hello', [], as)
      expect(await eventually(attempt)).toBe('HELLO')
      // And the other way round: from there to a peer.
      const [target = 0] = await freePorts(1)
      world.exec(4, [node, '-e', shouter, String(target)], { serve: [`${port}=[::1]:${target}`] })
      expect(await eventually(() => call(5, '127.64.0.4', port, 'again', [], as))).toBe('AGAIN')
    },
  )

  it.skipIf(process.getuid?.() !== 0)('isolated by an ordinary user, keeps that user', async () => {
    const uid = 23_456
    await world.killRelay()
    rmSync(join(world.dir, 'relay.sock')) // root's, which another may not even find dead
    for (const file of [world.dir, world.secretFile]) chownSync(file, uid, uid)
    const as = ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups', '--']
    await world.startRelay(as) // its socket is for its own user
    const run = world.exec(2, ['id', '-u'], { options: ['--isolate'], as })
    expect(await run.finished).toEqual({ code: 0, out: `${uid}\n`, err: '' })
  })

  it('ends with the reason and 1 when its token is for another address', async () => {
    const tokenFile = join(world.dir, 'token')
    writeFileSync(tokenFile, await world.token(9), { mode: 0o600 })
    const run = world.exec(2, ['true'], { credentials: ['--token-file', tokenFile] })
    const { code, err } = await run.finished
    expect(code).toBe(1)
    expect(err).toMatch(/^spark-lambda-relay: the token is for 127\.64\.0\.9 .* not for 127\.64\.0\.2/m)
  })

  it('takes a token file that only its user can read, and refuses any other with 2 and the remedy', async () => {
    const tokenFile = join(world.dir, 'token')
    writeFileSync(tokenFile, await world.token(2))
    const start = (mode: number) => {
      chmodSync(tokenFile, mode)
      return world.exec(2, ['echo', 'started'], { credentials: ['--token-file', tokenFile] }).finished
    }
    for (const mode of [0o644, 0o640, 0o604, 0o620]) {
      expect(await start(mode)).toEqual({
        code: 2,
        out: '',
        err: `spark-lambda-relay: --token-file ${tokenFile} has mode 0${mode.toString(8)}, so others can use the token; run: chmod 600 ${tokenFile}\n`,
      })
    }
    expect(await start(0o400)).toMatchObject({ code: 0, out: 'started\n' })
  })

  it('ends with the reason and 1 when the relay refuses its key', async () => {
    const secretFile = join(world.dir, 'other-secret')
    writeFileSync(secretFile, `${generateKeyLine('test', '*')}\n`, { mode: 0o600 })
    const { code, err } = await world.exec(2, ['true'], { credentials: ['--secret-file', secretFile] })
      .finished
    expect(code).toBe(1)
    expect(err).toMatch(/^spark-lambda-relay: the relay refused this address for good \(unauthorized/m)
  })

  it('reads its token file again when it attaches again, and ends the command when that one is refused', async () => {
    const tokenFile = join(world.dir, 'token')
    writeFileSync(tokenFile, await world.token(2), { mode: 0o600 })
    const run = world.exec(2, ['sh', '-c', 'echo up; exec sleep 300'], {
      credentials: ['--token-file', tokenFile],
    })
    await new Promise((resolve) => run.child.stdout?.once('data', resolve))
    writeFileSync(tokenFile, await world.token(9))
    await world.killRelay()
    await world.startRelay()
    const { code, err } = await run.finished
    expect(code).toBe(1)
    expect(err).toMatch(
      /the tunnel of 127\.64\.0\.2 is lost and the command was ended: the token is for 127\.64\.0\.9/,
    )
  })

  it('ends the command and says so when no relay comes back', async () => {
    const run = world.exec(2, ['sh', '-c', 'echo up; exec sleep 300'], { options: ['--linger', '1s'] })
    await new Promise((resolve) => run.child.stdout?.once('data', resolve))
    await world.killRelay()
    const { code, err } = await run.finished
    expect(code).toBe(1)
    expect(err).toMatch(/no relay took this address for 1 s; tried \S+ \(.*(ENOENT|ECONNREFUSED)/)
  })

  it('says why no relay takes it, once while it tries and once more at its end', async () => {
    const first = world.exec(2, ['sh', '-c', 'echo up; exec sleep 300'])
    await new Promise((resolve) => first.child.stdout?.once('data', resolve))
    const second = world.exec(2, ['true'], { options: ['--linger', '6s', '--log-level', 'warn'] })
    const { code, err } = await second.finished
    expect(code).toBe(1)
    expect(err).toMatch(/^spark-lambda-relay: no relay took this address for 6 s; tried \S+ \(taken: /m)
    const warnings = err.split('\n').filter((line) => line.includes('this relay is not reached'))
    expect(warnings.map((line) => JSON.parse(line).class).sort()).toEqual(['bulk', 'urgent'])
  })

  it('does not start the command when a port is taken, and says which', async () => {
    const [port = 0] = await freePorts(1)
    const first = world.exec(2, ['sh', '-c', 'echo up; exec sleep 300'], { dial: [String(port)] })
    await new Promise((resolve) => first.child.stdout?.once('data', resolve))
    const second = await world.exec(3, ['echo', 'started'], { dial: [String(port)] }).finished
    expect(second).toMatchObject({ code: 2, out: '' })
    expect(second.err).toMatch(new RegExp(`port ${port} is in use`))
  })

  it.each([
    ['a token and a key', ['--token-file', 'x', '--secret-file', 'y'], /--token-file and --secret-file/],
    ['neither', [], /give --token-file, or --secret-file/],
    ['a token file that is not there', ['--token-file', '/no/such'], /\/no\/such cannot be read \(ENOENT\)/],
  ])('refuses %s with 2', async (_what, credentials, message) => {
    const { code, err } = await world.exec(2, ['true'], { credentials }).finished
    expect(code).toBe(2)
    expect(err).toMatch(message)
  })

  it('refuses a CA that is not there, and an application that no key of its covers, with 2', async () => {
    const noCa = await world.exec(2, ['true'], { options: ['--tls-ca', '/no/ca'] }).finished
    expect(noCa.code).toBe(2)
    expect(noCa.err).toMatch(/--tls-ca \/no\/ca cannot be read/)
    const keys = join(world.dir, 'narrow-keys')
    writeFileSync(keys, generateKeyLine('narrow', 'team-a-'), { mode: 0o600 })
    const credentials = ['--secret-file', keys]
    const noKey = await world.exec(2, ['true'], { credentials, options: ['--app', 'team-b-x'] }).finished
    expect(noKey.code).toBe(2)
    expect(noKey.err).toMatch(/team-b-x/)
  })

  it('refuses to be isolated from a relay that it could only reach by TCP', async () => {
    const run = world.exec(2, ['true'], { options: ['--isolate', '--relay', 'tcp://127.0.0.1:9'] })
    const { code, err } = await run.finished
    expect(code).toBe(2)
    expect(err).toMatch(/no network by which tcp:\/\/127\.0\.0\.1:9 could be reached/)
  })
})
