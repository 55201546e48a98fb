import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { selfCommand } from '../../cli/self.ts'
import { namespaceMode, unshareCommand } from '../../driver-agent/local/namespace.ts'
import { setupCommand, setupScript } from '../../driver-agent/local/setup-script.ts'
import type { FunctionPayload } from '../../executor-shim/payload.ts'
import { examplePayload } from '../helper/example-payload.ts'
import { ExecutorWorld } from '../helper/executor-world.ts'
import { howEnded } from '../helper/how-ended.ts'
import { processesMarked, until } from '../helper/local-function.ts'

async function newWorld(): Promise<ExecutorWorld> {
  const world = await ExecutorWorld.start()
  onTestFinished(() => world.close())
  return world
}

it('ends when the driver is gone, within 10 s', async () => {
  const world = await newWorld()
  const executor = await world.executor()
  await executor.born.promise
  const since = performance.now()
  await world.closeTunnel()
  const end = await executor.handle.ended
  // The JVM loses the driver's RPC connection at the same moment, and may be the first to end.
  expect(end).toMatchObject({ why: 'exited', code: expect.toSatisfy((code) => code === 3 || code === 1) })
  expect(performance.now() - since).toBeLessThan(10_000)
})

it('ends when no relay comes back for as long as streams may wait', async () => {
  const world = await newWorld()
  const executor = await world.executor({}, { env: { SLR_LINGER: '5s' } })
  await executor.born.promise
  await world.stopRelay()
  expect(await howEnded(executor.handle.ended)).toEqual({ why: 'exited', code: 3 })
})

it('leaves nothing of the work folder that it made itself', async () => {
  const world = await newWorld()
  const temporary = join(world.folder, 'own-temporary')
  mkdirSync(temporary)
  const [program = '', ...args] = selfCommand(['shim'])
  const { SLR_WORK_DIR: _none, ...environment } = process.env
  const child = spawn(program, args, {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...environment, SPARK_HOME: world.sparkHome, TMPDIR: temporary },
  })
  const exit = once(child, 'exit')
  child.stdin.write(`${JSON.stringify(examplePayload())}\n`)
  const hasFolder = () => readdirSync(temporary).some((name) => name.startsWith('spark-lambda-relay-'))
  await until(hasFolder, 10_000, 'it makes its work folder')
  child.stdin.end()
  expect(await exit).toEqual([3, null])
  expect(readdirSync(temporary)).toEqual([])
})

it('ends with its JVM when whoever started it closes its stdin, even if nothing is killed', async () => {
  const world = await newWorld()
  const mark = randomUUID()
  let closeStdin = () => {}
  const exit = Promise.withResolvers<number | null>()
  const start = (payload: FunctionPayload) => {
    const mode = namespaceMode()
    const { command, env } = setupCommand(setupScript({ mounts: [], mode }), selfCommand(['shim']))
    const [program = '', ...args] = [...unshareCommand(mode), ...command]
    const child = spawn(program, args, {
      stdio: ['pipe', 'ignore', 'inherit', 'ignore', 'ignore'],
      env: {
        ...env,
        PATH: process.env.PATH,
        SPARK_HOME: world.sparkHome,
        JAVA_HOME: join(world.folder, 'java'),
        SLR_WORK_DIR: join(world.folder, 'bare'),
        SLR_LOG_LEVEL: 'warn',
        TEST_MARK: mark,
      },
    })
    child.once('exit', (code) => exit.resolve(code))
    child.stdin?.write(`${JSON.stringify(payload)}\n`)
    closeStdin = () => child.stdin?.end()
    return { id: 'bare', ended: new Promise<never>(() => {}), stop: async () => void child.kill('SIGKILL') }
  }
  const executor = await world.executor({ start })
  onTestFinished(() => executor.handle.stop())
  await executor.born.promise
  expect(processesMarked(`TEST_MARK=${mark}`).length).toBeGreaterThan(2)
  closeStdin()
  expect(await exit.promise).toBe(3)
  await until(() => processesMarked(`TEST_MARK=${mark}`).length === 0, 10_000, 'all processes gone')
})
