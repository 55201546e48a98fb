/**
 * Stands in for an executor's JVM where a test needs a program that does as it is told: says
 * what it was started with, dials the driver, serves its block port. A real JVM is in the
 * Spark tests; none can be told to exit 3 or to fill a disk.
 *
 * First line from the driver's RPC port: a FakeOrder as JSON. It sends its Birth as a line first.
 */
import { writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'

export interface Birth {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

export interface FakeOrder {
  readonly print?: readonly string[]
  readonly exit?: number
  readonly killSelf?: NodeJS.Signals
  /** Writes until the disk is full, and says so as Java does. */
  readonly fillDisk?: boolean
  readonly ignoreTerm?: boolean
}

const args = process.argv.slice(2)
const optionOf = (option: string) => args[args.indexOf(option) + 1] ?? ''
const [, driverHost = '', driverPort = ''] = /@(.*):(\d+)$/.exec(optionOf('--driver-url')) ?? []
const bind = optionOf('--bind-address').replaceAll(/[[\]]/g, '')
const blockPort = Number(/-Dspark\.blockManager\.port=(\d+)/.exec(args.join(' '))?.[1])

process.on('SIGPWR', () => {
  console.error('26/11/23 02:50:01 INFO Executor: decommissioned')
  process.exit(0)
})
createServer((socket) => socket.end('a block')).listen(blockPort, bind, () => {
  const driver = createConnection(Number(driverPort), driverHost)
  const birth: Birth = { args, env: process.env, cwd: process.cwd() }
  driver.write(`${JSON.stringify(birth)}\n`)
  driver.on('error', (error) => {
    console.error(`26/11/23 02:50:01 ERROR CoarseGrainedExecutorBackend: ${error.message}`)
    process.exit(1)
  })
  driver.on('end', () => process.exit(1))
  let text = ''
  driver.on('data', (chunk) => {
    text += chunk.toString()
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n')) {
      void obey(JSON.parse(text.slice(0, end)) as FakeOrder)
      text = text.slice(end + 1)
    }
  })
})

async function obey(order: FakeOrder): Promise<void> {
  if (order.ignoreTerm === true) process.on('SIGTERM', () => {})
  await print(order.print ?? [])
  if (order.fillDisk === true) fillDisk()
  if (order.killSelf !== undefined) process.kill(process.pid, order.killSelf)
  if (order.exit !== undefined) process.exit(order.exit)
}

/** A JVM has written when its call returns; what Node has not written yet is lost when the process exits. */
function print(lines: readonly string[]): Promise<void> {
  const text = lines.map((line) => `${line}\n`).join('')
  return new Promise((resolve) => process.stderr.write(text, () => resolve()))
}

function fillDisk(): void {
  try {
    for (let index = 0; ; index++) writeFileSync(`fill-${index}`, Buffer.alloc(1024 * 1024))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    console.error('26/11/23 02:50:01 ERROR DiskBlockObjectWriter: Exception while writing')
    console.error('java.io.IOException: No space left on device')
  }
}
