import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
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
  it('that have served are started again, though what they need is wrong for now', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slr-workers-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const starts = join(folder, 'starts')
    // The second one is ready, and dies; then is told three times that its key file is wrong; then is ready again.
    const worker = `
      const { appendFileSync, readFileSync } = require('node:fs')
      process.once('SIGTERM', () => process.exit(0))
      process.once('message', ({ listen: [{ port }] }) => {
        const isSecond = port === 7101
        if (isSecond) appendFileSync('${starts}', 'x')
        const start = isSecond ? readFileSync('${starts}', 'utf8').length : 0
        if (start > 1 && start < 5) process.exit(2)
        process.send({ listening: ['tcp://127.0.0.1:' + port] }, () => start === 1 && process.exit(1))
      })`
    const startsSeen = (): number => (existsSync(starts) ? readFileSync(starts, 'utf8').length : 0)
    const options = readOptions(relayOptions, { workers: ['2'], redis: ['redis://127.0.0.1:1'] }, {})
    const code = runWorkers(options, {
      logger: pino({ level: 'silent' }),
      selfCommand: () => [process.execPath, '-e', worker],
      version: 'test',
    })
    await expect.poll(startsSeen, { timeout: 9_000 }).toBe(5)
    await sleep(300)
    process.emit('SIGTERM', 'SIGTERM')
    expect(await code).toBe(0)
  })

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
