import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { relayOptions } from '../../../cli/options/relay.ts'
import { readOptions } from '../../../cli/read-options.ts'
import { runWorkers, workerEnvironment, workerOptions } from '../../../relay/server/workers.ts'

describe('the environment of a worker', () => {
  it('has the keys, and no variable that would be an option', () => {
    const environment = { PATH: '/bin', SLR_WORKERS: '2', SLR_REDIS: 'redis://a', SLR_SECRET: 'x' }
    expect(workerEnvironment(environment)).toEqual({ PATH: '/bin', SLR_SECRET: 'x' })
  })
})

describe('the options of a worker', () => {
  const options = readOptions(
    relayOptions,
    {
      listen: ['127.0.0.1:7100', '[::1]:7200', '127.0.0.1:0', 'unix:/run/slr/relay.sock'],
      advertise: ['tls://relay-1.example:7100', 'unix:/run/slr/relay.sock'],
      metrics: ['127.0.0.1:9100'],
      workers: ['3'],
    },
    {},
  )

  it('are those of the first as they were given', () => {
    const { listen, advertise, metrics } = options
    expect(workerOptions(options, 0)).toMatchObject({ listen, advertise, metrics, workers: 1 })
  })

  it('name the ports and paths that follow', () => {
    expect(workerOptions(options, 2)).toMatchObject({
      listen: [
        { is: 'tcp', host: '127.0.0.1', port: 7_102 },
        { is: 'tcp', host: '::1', port: 7_202 },
        { is: 'tcp', host: '127.0.0.1', port: 0 },
        { is: 'unix', path: '/run/slr/relay.sock.2' },
      ],
      advertise: ['tls://relay-1.example:7102', 'unix:/run/slr/relay.sock.2'],
      metrics: { is: 'tcp', host: '127.0.0.1', port: 9_102 },
      workers: 1,
    })
  })
})

describe('workers', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'that %s finds still starting end well, and so does their parent',
    async (signal) => {
      const options = readOptions(relayOptions, { workers: ['2'], redis: ['redis://127.0.0.1:1'] }, {})
      const code = runWorkers(options, {
        logger: pino({ level: 'silent' }),
        // Never gets as far as having a handler.
        selfCommand: () => [process.execPath, '-e', 'setInterval(() => {}, 1_000)'],
        version: 'test',
      })
      await sleep(200)
      process.emit(signal, signal)
      expect(await code).toBe(0)
    },
  )
})
