import { describe, expect, it } from 'vitest'
import { parseVersion } from '../../bench/measure/versions.ts'

describe('versions', () => {
  it.each([
    ['haproxy', 'HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/', '2.6.12-1+deb12u4'],
    ['rathole', 'rathole \nBuild Timestamp:     2026-11-27\nBuild Version:       0.5.0\n', '0.5.0'],
    ['bore', 'bore-cli 0.6.0', '0.6.0'],
    ['socat', 'socat by Gerhard Rieger\nsocat version 1.7.4.4 on 06 Nov 2022', '1.7.4.4'],
    ['sshd', 'OpenSSH_9.2, OpenSSL 3.0.19 27 Jan 2026', '9.2'],
    ['openssl', 'OpenSSL 3.0.19 27 Jan 2026 (Library: OpenSSL 3.0.19)', '3.0.19'],
    ['redis-server', 'Redis server v=7.0.15 sha=00000000:0', '7.0.15'],
    ['java', 'openjdk version "17.0.15" 2025-04-15', '17.0.15'],
    ['python3', 'Python 3.11.7', '3.11.7'],
    ['bench-load', '/somewhere/bench-load: go1.26.8\n\tpath\tload', 'go1.26.8'],
    ['yamux-tunnel', 'x: go1.26.8\n\tdep\tgithub.com/hashicorp/yamux\tv0.1.2\th1:Xt=', 'v0.1.2'],
    ['toxiproxy-server', 'x: go1.26.8\n\tmod\tgithub.com/Shopify/toxiproxy/v2\tv2.12.0\th1:y=', 'v2.12.0'],
    ['ssh-keygen', 'unknown option', undefined],
  ])('of %s are found wherever it says them', (program, said, version) => {
    expect(parseVersion(program, said)).toBe(version)
  })
})
