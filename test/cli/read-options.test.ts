import { describe, expect, it } from 'vitest'
import { submitOptions } from '../../cli/options/agent.ts'
import { execOptions } from '../../cli/options/exec.ts'
import { relayOptions } from '../../cli/options/relay.ts'
import { endpointOptions } from '../../cli/options/shared.ts'
import { readOptions, unknownVariables } from '../../cli/read-options.ts'
import { endpointOverrides } from '../../relay/endpoint/from-options.ts'
import { endpointLimits } from '../../relay/endpoint/index.ts'

describe('readOptions', () => {
  it('gives what DESIGN says when nothing is said', () => {
    expect(readOptions(relayOptions, {}, {})).toMatchObject({
      listen: [{ is: 'tcp', host: '127.0.0.1', port: 7100 }],
      handshakeMs: 5_000,
      keepaliveMs: 2_000,
      silenceMs: 6_000,
      graceMs: 8_000,
      redis: undefined,
    })
    expect(readOptions(submitOptions, {}, {})).toMatchObject({
      provider: 'local',
      maxLifetimeMs: 900_000,
      startDeadlineMs: 60_000,
      maxWallMs: undefined,
      egress: 'none',
      budgetBytes: 32 * 1024 * 1024,
      lingerMs: 45_000,
    })
  })

  it('reads repeated options, from the environment with commas', () => {
    const relays = ['tcp://a:1', 'unix:/run/relay.sock']
    expect(readOptions(submitOptions, { relay: relays }, {}).relay).toEqual(relays)
    expect(readOptions(submitOptions, {}, { SLR_RELAY: 'tcp://a:1, unix:/run/relay.sock' }).relay).toEqual(
      relays,
    )
  })

  it('takes no time that a timer cannot count: it would be over at once', () => {
    const longest = readOptions(submitOptions, { maxWallMs: ['576h'] }, {}).maxWallMs
    expect(longest).toBeLessThan(2 ** 31)
    expect(() => readOptions(submitOptions, { maxWallMs: ['577h'] }, {})).toThrow(/--max-wall.*576h/)
  })

  it('reads times and sizes in their units', () => {
    const given = { maxWallMs: ['2h'], budgetBytes: ['48MiB'], silenceMs: ['7'], graceMs: ['750ms'] }
    expect(readOptions(submitOptions, given, {})).toMatchObject({
      maxWallMs: 7_200_000,
      budgetBytes: 50_331_648,
      silenceMs: 7_000,
    })
    expect(readOptions(relayOptions, given, {})).toMatchObject({ graceMs: 750 })
  })

  it('reads what exec dials and serves', () => {
    const given = {
      relay: ['tcp://h:1'],
      app: ['a'],
      address: ['127.64.0.9'],
      dial: ['7077:urgent', '7079'],
      serve: ['80', '6379=127.0.0.1:6380', '22=[::1]:2022'],
    }
    expect(readOptions(execOptions, given, {})).toMatchObject({
      dial: [
        { port: 7077, class: 'urgent' },
        { port: 7079, class: 'bulk' },
      ],
      serve: [
        { port: 80 },
        { port: 6379, target: { host: '127.0.0.1', port: 6380 } },
        { port: 22, target: { host: '::1', port: 2022 } },
      ],
    })
    for (const dial of ['0', '7077:fast', '70777', ':urgent', '']) {
      expect(() => readOptions(execOptions, { ...given, dial: [dial] }, {}), dial).toThrow(
        /--dial .*must be a port/,
      )
    }
    for (const serve of ['0', '80=', '80=host', '80=host:0', '80=unix:/x']) {
      expect(() => readOptions(execOptions, { ...given, serve: [serve] }, {}), serve).toThrow(
        /--serve .*must be a port/,
      )
    }
  })

  it('does not repeat the password of a URL that it refuses', () => {
    for (const url of ['redis://:hush@h:99999', 'redis://me:hu/sh@h:1', 'redis://:hu@sh@h:1:2']) {
      for (const [given, environment] of [
        [{ redis: [url] }, {}],
        [{}, { SLR_REDIS: url }],
      ] as const) {
        expect(() => readOptions(relayOptions, given, environment), url).toThrow(/redis:\/\/\[redacted\]@h/)
        expect(() => readOptions(relayOptions, given, environment), url).not.toThrow(/hu|me:/)
      }
    }
  })

  it('takes an empty variable for none, and switches toggles by words', () => {
    const given = { relay: ['tcp://h:1'], app: ['a'], address: ['127.64.0.9'] }
    expect(readOptions(execOptions, given, { SLR_ISOLATE: '' }).isolate).toBe(false)
    expect(readOptions(execOptions, given, { SLR_ISOLATE: '1' }).isolate).toBe(true)
    expect(readOptions(execOptions, given, { SLR_ISOLATE: 'false' }).isolate).toBe(false)
    expect(() => readOptions(execOptions, given, { SLR_ISOLATE: 'yes' })).toThrow(
      'SLR_ISOLATE=yes: must be 1, true, 0 or false',
    )
  })
})

describe('unknownVariables', () => {
  it('finds the mistyped ones, and leaves those of other commands and of tests alone', () => {
    const environment = {
      SLR_MAX_LINK: '1',
      SLR_MAX_LINKS: '1',
      SLR_SECRET: 'x',
      SLR_TEST_SEED: '1',
      PATH: '/bin',
    }
    expect(unknownVariables([relayOptions, execOptions], ['SLR_SECRET'], environment)).toEqual([
      'SLR_MAX_LINK',
    ])
  })
  it('takes nothing for an endpoint that endpoints refuse, who know no options by name', () => {
    for (const [name, { flag, range }] of Object.entries(endpointOptions)) {
      const ends = range?.split(' to ') ?? []
      expect(ends, flag).toHaveLength(2)
      for (const end of ends) {
        const given = readOptions(endpointOptions, { [name]: [end] }, {})
        expect(() => endpointLimits('bulk', endpointOverrides(given)), `${flag} ${end}`).not.toThrow()
      }
    }
  })
})
