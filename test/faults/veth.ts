/**
 * A network of veth pairs inside a user and network namespace that is ours: relays outside, each
 * party in a namespace of its own, and nftables between them. Faults are packets that are dropped.
 */
import { execFileSync } from 'node:child_process'

/** The address of relay `index`; all parties reach it. */
export function relayHost(index: number): string {
  return `10.77.200.${index + 1}`
}

function run(program: string, ...args: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Called once, as root of the outer namespace, before relays start. */
export function prepareNetwork(relays: number): void {
  run('ip', 'link', 'set', 'lo', 'up')
  for (let index = 0; index < relays; index++) run('ip', 'addr', 'add', `${relayHost(index)}/32`, 'dev', 'lo')
  run('nft', 'add', 'table', 'inet', 'faults')
  run('nft', 'add', 'chain', 'inet', 'faults', 'in', '{ type filter hook input priority 0; policy accept; }')
  run(
    'nft',
    'add',
    'chain',
    'inet',
    'faults',
    'out',
    '{ type filter hook output priority 0; policy accept; }',
  )
}

/** Words before the node of a party. */
export const inOwnNetwork = ['unshare', '--net', '--'] as const

/** Gives the party with process `pid`, in its own network namespace, a veth pair. */
export function plugIn(pid: number, index: number): void {
  const outer = `p${index}`
  const within = (...args: string[]): void => run('nsenter', '-t', String(pid), '-n', ...args)
  run('ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', 'up0', 'netns', String(pid))
  run('ip', 'addr', 'add', `10.77.${index}.1/24`, 'dev', outer)
  run('ip', 'link', 'set', outer, 'up')
  within('ip', 'link', 'set', 'lo', 'up')
  within('ip', 'addr', 'add', `10.77.${index}.2/24`, 'dev', 'up0')
  within('ip', 'link', 'set', 'up0', 'up')
  within('ip', 'route', 'add', 'default', 'via', `10.77.${index}.1`)
}

/** From now on the packets of one TCP connection of party `index` are lost, for good. */
export function dropPackets(index: number, port: number, direction: 'to-relay' | 'to-party' | 'both'): void {
  const tcp = (side: string): string[] => ['tcp', side, String(port), 'counter', 'drop']
  if (direction !== 'to-party')
    run('nft', 'add', 'rule', 'inet', 'faults', 'in', 'iifname', `p${index}`, ...tcp('sport'))
  if (direction !== 'to-relay')
    run('nft', 'add', 'rule', 'inet', 'faults', 'out', 'oifname', `p${index}`, ...tcp('dport'))
}

/** Packets that the rules dropped so far. */
export function droppedPackets(): number {
  const listed = execFileSync('nft', ['list', 'table', 'inet', 'faults'], { encoding: 'utf8' })
  return [...listed.matchAll(/counter packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0)
}
