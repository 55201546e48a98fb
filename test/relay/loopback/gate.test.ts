/** Who gets in by a wildcard listener, and who is closed at once and counted. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Server, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { Gate, type GateOptions } from '../../../relay/loopback/gate.ts'
import { findOwners, OwnerLookup, socketName } from '../../../relay/loopback/owner.ts'
import { quietLog } from './world.ts'

const servers: Server[] = []
const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

interface OpenGate {
  readonly gate: Gate
  readonly port: number
  /** Peers of the connections that were let in. */
  readonly admitted: string[]
}

async function openGate(options: Partial<GateOptions> = {}): Promise<OpenGate> {
  const admitted: string[] = []
  const gate = new Gate({
    checkUid: false,
    log: quietLog,
    onConnection: (socket, peer) => {
      sockets.push(socket)
      admitted.push(peer)
    },
    ...options,
  })
  const server = await gate.listen('0.0.0.0', 0)
  servers.push(server)
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { gate, port: address.port, admitted }
}

function dial(host: string, port: number): Socket {
  const socket = connect({ host, port })
  sockets.push(socket)
  return socket
}

/** Settles when the connection is over, in whichever way. */
function isClosed(socket: Socket): Promise<void> {
  socket.on('error', () => {})
  socket.resume()
  return new Promise((resolve) => {
    socket.on('close', () => resolve())
  })
}

/** An address of this machine that is not loopback. */
const outside = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address

describe('the gate of a wildcard listener', () => {
  it('lets a program in that dials a virtual address, and knows which', async () => {
    const { port, admitted, gate } = await openGate()
    await once(dial('127.64.7.9', port), 'connect')
    await once(dial('127.127.255.254', port), 'connect')
    await expect.poll(() => admitted).toEqual(['127.64.7.9', '127.127.255.254'])
    expect(gate.foreignConnections).toBe(0)
  })

  it('closes and counts a connection to a loopback address that is not virtual', async () => {
    const { port, admitted, gate } = await openGate()
    for (const host of ['127.0.0.1', '127.63.255.255', '127.128.0.1']) await isClosed(dial(host, port))
    expect(gate.turnedAway).toMatchObject({ address: 3, remote: 0 })
    expect(admitted).toEqual([])
  })

  it.skipIf(outside === undefined)(
    'closes and counts a connection that came by an outer interface',
    async () => {
      const { port, admitted, gate } = await openGate()
      await isClosed(dial(outside ?? '', port))
      expect(gate.turnedAway.remote).toBe(1)
      expect(admitted).toEqual([])
    },
  )

  it('lets programs of its own user in, from sockets of both families', async () => {
    const { port, admitted, gate } = await openGate({ checkUid: true })
    await once(dial('127.64.0.5', port), 'connect')
    await once(dial('::ffff:127.64.0.6', port), 'connect') // as every JVM does
    await expect.poll(() => [...admitted].sort()).toEqual(['127.64.0.5', '127.64.0.6'])
    expect(gate.foreignConnections).toBe(0)
  })

  it('closes and counts a connection of another user', async () => {
    const { port, admitted, gate } = await openGate({ checkUid: true, uid: 54_321 })
    await isClosed(dial('127.64.0.5', port))
    expect(gate.turnedAway.user).toBe(1)
    expect(admitted).toEqual([])
  })

  it.skipIf(process.getuid?.() !== 0)('turns away a real program of another uid', async () => {
    const { port, admitted, gate } = await openGate({ checkUid: true })
    const script = `require('net').connect(${port},'127.64.0.5').on('error',()=>{}).on('close',()=>console.log('closed')).resume()`
    const { stdout } = await promisify(execFile)('setpriv', [
      ...['--reuid', '54321', '--clear-groups', '--', process.execPath, '-e', script],
    ])
    expect(stdout.trim()).toBe('closed')
    expect(gate.turnedAway.user).toBe(1)
    expect(admitted).toEqual([])
  })

  it('goes on without the check, and says so once, where the kernel does not tell', async () => {
    const warnings: unknown[] = []
    const { port, admitted } = await openGate({
      checkUid: true,
      lookup: new OwnerLookup(async () => null),
      log: { warn: (text: unknown) => warnings.push(text) },
    })
    await once(dial('127.64.0.5', port), 'connect')
    await once(dial('127.64.0.6', port), 'connect')
    await expect.poll(() => admitted.length).toBe(2)
    expect(warnings).toHaveLength(1)
  })

  it('looks twice before it turns away a connection that the table did not show', async () => {
    const { readFile } = await import('node:fs/promises')
    let reads = 0
    const { port, admitted, gate } = await openGate({
      checkUid: true,
      lookup: new OwnerLookup(async (family) => {
        reads += 1
        return reads <= 2 ? 'a table with a gap\n' : await readFile(`/proc/net/${family}`, 'latin1')
      }),
    })
    await once(dial('127.64.0.5', port), 'connect')
    await expect.poll(() => admitted).toEqual(['127.64.0.5'])
    expect(gate.foreignConnections).toBe(0)
  })

  it('turns away and counts a connection whose program was gone before it could be asked for', async () => {
    const { port, admitted, gate } = await openGate({
      checkUid: true,
      lookup: new OwnerLookup(async () => 'nobody\n'),
    })
    await isClosed(dial('127.64.0.5', port))
    expect(gate.turnedAway['unknown-user']).toBe(1)
    expect(admitted).toEqual([])
  })

  it('answers a hundred connections at once with a handful of reads', async () => {
    let reads = 0
    const { readFile } = await import('node:fs/promises')
    const { port, admitted } = await openGate({
      checkUid: true,
      lookup: new OwnerLookup((family) => {
        reads += 1
        return readFile(`/proc/net/${family}`, 'latin1')
      }),
    })
    for (let index = 0; index < 100; index += 1) dial('127.64.0.5', port)
    await expect.poll(() => admitted.length).toBe(100)
    expect(reads).toBeLessThan(50)
  })

  it('says which port is taken and what to do', async () => {
    const { port } = await openGate()
    const { gate } = await openGate()
    await expect(gate.listen('0.0.0.0', port)).rejects.toMatchObject({
      code: 'port-in-use',
      exitCode: 2,
      message: expect.stringMatching(new RegExp(`port ${port} is in use.*choose another port`)),
    })
  })
})

describe('the owner of a socket', () => {
  const line =
    '   2: 0900407F:9B5B 0100007F:B26A 01 00000000:00000000 00:00000000 00000000  1234        0 38113 1 0000 20 4 28 10 -1\n'
  const socket = socketName('127.64.0.9', 0x9b5b, '127.0.0.1', 0xb26a)
  const turned = socketName('127.0.0.1', 0xb26a, '127.64.0.9', 0x9b5b)
  const wanted = new Set([socket, turned])

  it('is read from the line of that socket, not of its other end', () => {
    expect(findOwners(line, 'tcp', wanted)).toEqual(new Map([[socket, { is: 'uid', uid: 1234 }]]))
  })

  it('is read from the table of the other family where the address there is a mapped one', () => {
    const mapped = line.replaceAll(/(\w+:\w{4}) (\w+:\w{4}) 01/g, (_, here, there) =>
      [here, there, '01'].map((end) => (end === '01' ? end : `0000000000000000FFFF0000${end}`)).join(' '),
    )
    const native = mapped.replace('FFFF0000', '00000000')
    expect(findOwners(native + mapped, 'tcp6', wanted)).toEqual(new Map([[socket, { is: 'uid', uid: 1234 }]]))
    expect(findOwners(native, 'tcp6', wanted).size).toBe(0)
  })

  it('is unknown for a socket that no process holds any more, whatever uid the kernel prints', () => {
    const orphan = line.replace(' 1234        0 38113 ', '    0        0 0 ')
    expect(findOwners(orphan, 'tcp', wanted)).toEqual(new Map([[socket, { is: 'unknown' }]]))
  })

  it('is found for all that wait in one pass, however many wait', async () => {
    const count = 30_000
    const port = (index: number): string => index.toString(16).toUpperCase().padStart(4, '0')
    const lines = Array.from({ length: count }, (_, index) => line.replace(':9B5B', `:${port(index)}`))
    const table = `  sl  local_address rem_address   st\n${lines.join('')}`
    const lookup = new OwnerLookup(async () => table)
    const began = performance.now()
    const answers = await Promise.all(
      lines.map((_, index) => lookup.ownerOf('127.64.0.9', index, '127.0.0.1', 0xb26a)),
    )
    expect(new Set(answers.map((answer) => JSON.stringify(answer)))).toEqual(
      new Set(['{"is":"uid","uid":1234}']),
    )
    expect(performance.now() - began).toBeLessThan(5_000) // a pass for each: half a minute
  })
})
