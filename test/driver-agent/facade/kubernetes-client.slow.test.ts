/**
 * Two clients that no one here wrote, against the facade: PyPI's `kubernetes` (installed once
 * into .cache/) and kubectl, where there is one. They ask for more than Spark does, so that what
 * Spark asks in a later version is likely to be answered as well.
 */
import { execFile, spawn } from 'node:child_process'
import { request } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { makeCertificates } from '../../helper/certificates.ts'
import { type FacadeWorld, startFacadeWorld, TOKEN } from '../../helper/facade.ts'
import { installKubernetesPython, kubernetesPython } from '../../helper/kubernetes-python.ts'
import { executorPod, exitedWord } from '../../helper/pods.ts'

const run = promisify(execFile)
const root = new URL('../../..', import.meta.url).pathname

/** What the script wants done to pods. */
function act(world: FacadeWorld, { do: what, names }: { do: string; names: string[] }): void {
  for (const name of names) {
    const pod = world.pods.get(name)
    if (pod === undefined) throw new Error(`the client speaks of ${name}, which is not there`)
    if (what === 'run') world.run(pod)
    if (what === 'crash') world.end(pod, { why: 'crashed', detail: 'by the test' })
    if (what === 'exit') {
      world.say(pod, exitedWord(0))
      world.end(pod, { why: 'exited', code: 0 })
    }
  }
}

describe('the Python client', () => {
  let missing: string | undefined
  beforeAll(async () => {
    missing = await installKubernetesPython()
    // A skip elsewhere.
    if (missing !== undefined && process.env.CI) throw new Error(missing)
  })

  it('creates, lists, selects, watches, patches and deletes', async ({ skip }) => {
    if (missing !== undefined) skip(missing)
    const world = await startFacadeWorld()
    // The clock stands, so a watch's timeoutSeconds would never be over.
    const ticking = setInterval(() => world.clock.pass(100), 100)
    onTestFinished(() => clearInterval(ticking))
    const script = new URL('python/client.py', import.meta.url).pathname
    const child = spawn(kubernetesPython, [script, world.facade.url, TOKEN], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    let errors = ''
    child.stderr.on('data', (text) => {
      errors += String(text)
    })
    let done: unknown
    for await (const line of createInterface(child.stdout)) {
      const message = JSON.parse(line)
      if (message.done !== undefined) done = message.done
      else {
        act(world, message)
        child.stdin.write('\n')
      }
    }
    expect(errors).toBe('')
    expect(done).toEqual([
      'create and read',
      'label and field selectors',
      'patches',
      'a watch',
      'a watch that was cut',
      'deletes',
      'what is refused',
    ])
    expect(world.facade.callsSeen().unauthorised).toBe(1)
  })
})

/**
 * kubectl sends no token over plain HTTP, and the facade, on 127.0.0.1 only, has no TLS: so the
 * test puts TLS before it.
 */
async function startTlsBefore(facadePort: number): Promise<Server> {
  const certificates = makeCertificates()
  onTestFinished(() => certificates.remove())
  const server = createServer(certificates, (incoming, outgoing) => {
    const { method, url: path, headers } = incoming
    const inner = request({ host: '127.0.0.1', port: facadePort, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      outgoing.flushHeaders()
      answer.pipe(outgoing)
    })
    inner.on('error', () => outgoing.destroy())
    outgoing.on('close', () => inner.destroy())
    incoming.pipe(inner)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

describe('kubectl', () => {
  let missing: string | undefined
  beforeAll(async () => {
    missing = await run('kubectl', ['version', '--client']).then(
      () => undefined,
      () => 'there is no kubectl on PATH',
    )
  })

  it('lists, selects, labels, creates, waits and deletes', async ({ skip }) => {
    if (missing !== undefined) skip(missing)
    const world = await startFacadeWorld()
    const ticking = setInterval(() => world.clock.pass(100), 100)
    const server = await startTlsBefore(world.facade.port)
    onTestFinished(() => {
      clearInterval(ticking)
      server.close()
      server.closeAllConnections()
    })
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const common = ['--server', url, '--insecure-skip-tls-verify', '--token', TOKEN, '--namespace', 'spark']
    const kubectl = (args: string[], stdin?: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const env = { ...process.env, KUBECONFIG: '/dev/null', HOME: join(root, '.cache') }
        const child = execFile(
          'kubectl',
          [...common, ...args],
          { env, timeout: 60_000 },
          (error, stdout, stderr) =>
            error === null ? resolve(stdout) : reject(new Error(`kubectl ${args.join(' ')}: ${stderr}`)),
        )
        child.stdin?.end(stdin)
      })

    await kubectl(['create', '--validate=false', '-f', '-'], JSON.stringify(executorPod(1)))
    world.run(world.post(2))
    expect(await kubectl(['get', 'pods'])).toMatch(/job-1-exec-1[\s\S]*job-1-exec-2/)
    expect(await kubectl(['get', 'po', '-o', 'name', '-l', 'spark-exec-id in (2,3)'])).toBe(
      'pod/job-1-exec-2\n',
    )
    const running = [
      'get',
      'pods',
      '--field-selector',
      'status.phase=Running',
      '-o',
      'jsonpath={.items[*].status.podIP}',
    ]
    expect(await kubectl(running)).toBe('127.64.0.3')
    await kubectl(['label', 'pod', 'job-1-exec-2', 'spark-exec-inactive=true'])
    expect(world.pods.get('job-1-exec-2')?.metadata.labels).toMatchObject({ 'spark-exec-inactive': 'true' })
    await kubectl(['annotate', 'pod', 'job-1-exec-2', 'seen=yes'])
    expect(world.pods.get('job-1-exec-2')?.metadata.annotations).toMatchObject({ seen: 'yes' })

    // It watches until the pod is gone.
    const deleting = kubectl(['delete', 'pod', 'job-1-exec-2'])
    while (world.asked.stopped.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    const pod = world.pods.get('job-1-exec-2')
    if (pod === undefined) throw new Error('deleted before its function has ended')
    world.say(pod, exitedWord(0))
    expect(await deleting).toContain('deleted')

    const deletingAll = kubectl([
      'delete',
      'pods',
      '-l',
      'spark-role=executor',
      '--force',
      '--grace-period=0',
    ])
    while (world.asked.killed.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    for (const { uid } of world.asked.started)
      world.pods.handleFunctionEnd(uid, { why: 'stopped', detail: '' })
    await deletingAll
    expect(world.phases()).toEqual({})
    await expect(kubectl(['get', 'nodes'])).rejects.toThrow()
  })
})
