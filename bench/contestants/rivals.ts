/** The rivals: proxies with one hop, tunnels with a client that dials out, and the floor. */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from '../testbed/programs.ts'
import { DiedError, type Testbed } from '../testbed/testbed.ts'
import type { Rival } from './contestant.ts'

const local = (port: number): string => `127.0.0.1:${port}`

const direct: Rival = {
  name: 'direct',
  note: 'no relay: what loopback and the load can do',
  needs: [],
  async start(bed) {
    const sinkPort = await bed.port()
    return { entries: [await bed.hop(sinkPort)], sinkPort }
  },
}

const nodePipe: Rival = {
  name: 'node-pipe',
  note: 'socket.pipe(socket) in Node',
  needs: [],
  async start(bed) {
    const [entry, sinkPort] = [await bed.port(), await bed.port()]
    const script = join(import.meta.dirname, 'node-pipe-main.ts')
    bed.start('relay', process.execPath, [script, entry, await bed.hop(sinkPort)])
    await bed.listening(entry)
    return { entries: [local(entry)], sinkPort }
  },
}

function haproxy(name: string, option: string, note: string): Rival {
  return {
    name,
    note,
    needs: ['haproxy'],
    async start(bed) {
      const [entry, sinkPort] = [await bed.port(), await bed.port()]
      const config = bed.file(
        'haproxy.cfg',
        `global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  ${option}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen relay
  bind ${local(entry)} backlog 4096
  server sink ${await bed.hop(sinkPort)}
`,
      )
      bed.start('relay', 'haproxy', ['-f', config])
      await bed.listening(entry)
      return { entries: [local(entry)], sinkPort }
    },
  }
}

const socat: Rival = {
  name: 'socat',
  note: 'a process a connection, 64 KiB buffers',
  needs: ['socat'],
  async start(bed) {
    const [entry, sinkPort] = [await bed.port(), await bed.port()]
    const listen = `TCP-LISTEN:${entry},bind=127.0.0.1,reuseaddr,fork,backlog=1024,nodelay`
    bed.start('relay', 'socat', ['-b', 65_536, listen, `TCP:${await bed.hop(sinkPort)},nodelay`])
    await bed.listening(entry)
    return { entries: [local(entry)], sinkPort }
  },
}

/** Ports of a tunnel: where its client dials, where the load dials, where it delivers. */
async function tunnelPorts(bed: Testbed): Promise<{ link: number; entry: number; sink: number }> {
  return { link: await bed.port(), entry: await bed.port(), sink: await bed.port() }
}

const rathole: Rival = {
  name: 'rathole',
  note: 'a TCP connection for each stream, no multiplexing',
  needs: ['rathole'],
  async start(bed) {
    const { link, entry, sink } = await tunnelPorts(bed)
    const server = bed.file(
      'server.toml',
      `[server]\nbind_addr = "${local(link)}"\ndefault_token = "bench"\n[server.services.load]\nbind_addr = "${local(entry)}"\n`,
    )
    bed.start('relay', 'rathole', ['--server', server])
    await bed.listening(link)
    const client = bed.file(
      'client.toml',
      `[client]\nremote_addr = "${await bed.hop(link)}"\ndefault_token = "bench"\n[client.services.load]\nlocal_addr = "${local(sink)}"\n`,
    )
    bed.start('receiver', 'rathole', ['--client', client])
    await bed.listening(entry)
    return { entries: [local(entry)], sinkPort: sink }
  },
}

const bore: Rival = {
  name: 'bore',
  note: 'a TCP connection for each stream; its link port is fixed to 7835',
  needs: ['bore'],
  async start(bed) {
    const { entry, sink } = await tunnelPorts(bed)
    const link = 7835
    bed.start('relay', 'bore', [
      'server',
      '--bind-addr',
      '127.0.0.1',
      '--min-port',
      entry,
      '--max-port',
      entry,
    ])
    await bed.listening(link)
    const host = (await bed.hop(link)).split(':')[0] as string
    const to = ['--local-host', '127.0.0.1', '--to', host, '--port', entry]
    bed.start('receiver', 'bore', ['local', sink, ...to])
    await bed.listening(entry)
    return { entries: [local(entry)], sinkPort: sink }
  },
}

function yamux(name: string, window: number, note: string): Rival {
  return {
    name,
    note,
    needs: ['yamux-tunnel'],
    async start(bed) {
      const { link, entry, sink } = await tunnelPorts(bed)
      const size = ['-window', window]
      bed.start('relay', 'yamux-tunnel', [...size, '-listen', local(link), '-entry', local(entry)])
      await bed.listening(link)
      const way = ['-dial', await bed.hop(link), '-target', local(sink)]
      bed.start('receiver', 'yamux-tunnel', [...size, ...way])
      await bed.listening(entry)
      return { entries: [local(entry)], sinkPort: sink }
    },
  }
}

const wstunnel: Rival = {
  name: 'wstunnel',
  note: 'WebSocket, a connection for each stream',
  needs: ['wstunnel'],
  async start(bed) {
    const { link, entry, sink } = await tunnelPorts(bed)
    bed.start('relay', 'wstunnel', ['server', '--log-lvl', 'ERROR', `ws://${local(link)}`])
    await bed.listening(link)
    const way = ['-R', `tcp://${local(entry)}:${local(sink)}`, `ws://${await bed.hop(link)}`]
    bed.start('receiver', 'wstunnel', ['client', '--log-lvl', 'ERROR', ...way])
    await bed.listening(entry)
    return { entries: [local(entry)], sinkPort: sink }
  },
}

const ssh: Rival = {
  name: 'ssh',
  note: 'ssh -R, default cipher: it encrypts, the others do not',
  needs: ['sshd', 'ssh', 'ssh-keygen'],
  async start(bed) {
    const { link, entry, sink } = await tunnelPorts(bed)
    const [hostKey, userKey] = [join(bed.dir, 'host_key'), join(bed.dir, 'user_key')]
    const keygen = findProgram('ssh-keygen') as string // `needs` has been looked at
    for (const key of [hostKey, userKey]) execFileSync(keygen, ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    const config = bed.file(
      'sshd_config',
      `ListenAddress ${local(link)}\nHostKey ${hostKey}\nAuthorizedKeysFile ${userKey}.pub\nStrictModes no\nUsePAM no\nPidFile none\n`,
    )
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true }) // sshd insists on it
    bed.start('relay', 'sshd', ['-D', '-e', '-f', config])
    await bed.listening(link)
    const [host, port] = (await bed.hop(link)).split(':') as [string, string]
    const trust = ['-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${join(bed.dir, 'known')}`]
    const way = ['-o', 'ExitOnForwardFailure=yes', '-R', `${local(entry)}:${local(sink)}`]
    bed.start('receiver', 'ssh', ['-N', '-F', 'none', '-i', userKey, '-p', port, ...trust, ...way, host])
    await bed.listening(entry)
    return { entries: [local(entry)], sinkPort: sink }
  },
}

/** HAProxy as our links with TLS have it: it terminates TLS on one side and originates it on the other. */
const haproxyTls: Rival = {
  name: 'haproxy-tls',
  note: 'two HAProxies at the ends, one thread each, stand for the endpoints; the one between terminates and originates TLS',
  needs: ['haproxy', 'openssl'],
  async start(bed) {
    const [entry, middle, last, sinkPort] = [
      await bed.port(),
      await bed.port(),
      await bed.port(),
      await bed.port(),
    ]
    const { pem } = selfSigned(bed)
    const config = (listen: string, server: string): string =>
      `global\n  nbthread 1\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\nlisten l\n  bind ${listen}\n  server s ${server}\n`
    const tls = `ssl verify none ciphersuites TLS_AES_128_GCM_SHA256`
    bed.start('receiver', 'haproxy', [
      '-f',
      bed.file('last.cfg', config(`${local(last)} ssl crt ${pem}`, await bed.hop(sinkPort))),
    ])
    await bed.listening(last)
    bed.start('relay', 'haproxy', [
      '-f',
      bed.file('middle.cfg', config(`${local(middle)} ssl crt ${pem}`, `${local(last)} ${tls}`)),
    ])
    await bed.listening(middle)
    bed.start('sender', 'haproxy', [
      '-f',
      bed.file('first.cfg', config(local(entry), `${local(middle)} ${tls}`)),
    ])
    await bed.listening(entry)
    return { entries: [local(entry)], sinkPort }
  },
}

/** A certificate for 127.0.0.1 that lives as long as the run: `cert` and `key`, and both in one file. */
export function selfSigned(bed: Testbed): { cert: string; key: string; pem: string } {
  const [cert, key, pem] = [join(bed.dir, 'cert.pem'), join(bed.dir, 'key.pem'), join(bed.dir, 'both.pem')]
  const openssl = findProgram('openssl')
  if (openssl === undefined) throw new DiedError('openssl is not installed')
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync(openssl, ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  })
  execFileSync('sh', ['-c', 'umask 077; cat "$0" "$1" > "$2"', cert, key, pem])
  return { cert, key, pem }
}

export const rivals: readonly Rival[] = [
  direct,
  haproxy('haproxy', '', 'one thread, no splice'),
  haproxy('haproxy-splice', 'option splice-auto', 'one thread, with splice: the bytes stay in the kernel'),
  haproxyTls,
  rathole,
  bore,
  yamux('yamux', 256 << 10, 'hashicorp/yamux, windows of 256 KiB (its default)'),
  yamux('yamux-6m', 6 << 20, 'hashicorp/yamux, windows of 6 MiB (what frp sets)'),
  wstunnel,
  ssh,
  socat,
  nodePipe,
]
