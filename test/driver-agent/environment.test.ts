import { describe, expect, it } from 'vitest'
import { submitOptions } from '../../cli/options/agent.ts'
import { relayOptions } from '../../cli/options/relay.ts'
import { shimOptions } from '../../cli/options/shim.ts'
import { readOptions } from '../../cli/read-options.ts'
import {
  driverEnvironment,
  endpointEnvironment,
  ownEnvironment,
  relayEnvironment,
} from '../../driver-agent/environment.ts'
import { RUN_MARK } from '../../driver-agent/guardian.ts'

const given = { PATH: '/bin', SLR_SECRET: 'k:*:s', SLR_LISTEN: '0.0.0.0:1', SLR_CACHE: '/c', HOME: '/h' }

describe('environments of what the agent starts', () => {
  it('have the mark of the run and none of our options or secrets', () => {
    expect(ownEnvironment('r1', given)).toEqual({
      PATH: '/bin',
      SLR_CACHE: '/c',
      HOME: '/h',
      [RUN_MARK]: 'r1',
    })
  })

  it("of Spark's driver follow the settings, which may take a variable away", () => {
    const settings = { NO_PROXY: '127.0.0.1', HOME: undefined }
    const environment = driverEnvironment('r1', settings, { sparkHome: '/spark', python: '/py' }, given)
    expect(environment).toMatchObject({ NO_PROXY: '127.0.0.1', SPARK_HOME: '/spark', PYSPARK_PYTHON: '/py' })
    expect('HOME' in environment).toBe(false)
  })

  it("of Spark's driver keep the user's Python", () => {
    const own = driverEnvironment(
      'r1',
      {},
      { sparkHome: '/spark', python: '/py' },
      { PYSPARK_PYTHON: '/own' },
    )
    expect(own.PYSPARK_PYTHON).toBe('/own')
  })

  it('of shims say what the endpoint options of submit say', () => {
    const options = {
      ...readOptions(submitOptions, { silenceMs: ['9s'], windowBytes: ['512KiB'] }, {}),
      sparkArguments: [],
    }
    const shim = readOptions(shimOptions, {}, endpointEnvironment(options))
    expect(shim).toMatchObject({ silenceMs: 9_000, windowBytes: 512 * 1024, lingerMs: options.lingerMs })
  })

  it('of the relay inside say how long silence is borne, as those of shims do, and nothing else of ours', () => {
    const options = { ...readOptions(submitOptions, { silenceMs: ['9s'] }, {}), sparkArguments: [] }
    const environment = relayEnvironment('r1', options, given)
    const relay = readOptions(relayOptions, { listen: ['127.0.0.1:1'] }, environment)
    expect(relay).toMatchObject({ silenceMs: 9_000, keepaliveMs: options.keepaliveMs })
    expect(Object.keys(environment).filter((name) => name.startsWith('SLR_'))).toEqual([
      'SLR_CACHE',
      'SLR_HANDSHAKE',
      'SLR_KEEPALIVE',
      'SLR_SILENCE',
    ])
  })
})
