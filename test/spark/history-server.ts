/** Spark's own history server over a folder of event logs, on loopback. For test/spark/ only. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export interface HistoryServer {
  /** As `http://127.0.0.1:40123`. */
  readonly url: string
  stop(): Promise<void>
}

const STARTS_WITHIN_MS = 60_000

export async function startHistoryServer(sparkHome: string, eventDir: string): Promise<HistoryServer> {
  const settings = {
    'spark.history.fs.logDirectory': `file:${eventDir}`,
    'spark.history.fs.update.interval': '1s',
    'spark.history.ui.port': '0',
  }
  const options = Object.entries(settings).map(([key, value]) => `-D${key}=${value}`)
  const child = spawn(
    join(sparkHome, 'bin', 'spark-class'),
    ['org.apache.spark.deploy.history.HistoryServer'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        ...process.env,
        SPARK_HOME: sparkHome,
        SPARK_HISTORY_OPTS: options.join(' '),
        SPARK_LOCAL_IP: '127.0.0.1',
        SPARK_DAEMON_MEMORY: '512m',
      },
    },
  )
  let log = ''
  let late: NodeJS.Timeout | undefined
  const started = new Promise<string>((resolve, reject) => {
    const fail = (what: string): void => reject(new Error(`the history server ${what}:\n${log}`))
    late = setTimeout(() => fail(`did not start within ${STARTS_WITHIN_MS} ms`), STARTS_WITHIN_MS)
    child.stderr.on('data', (bytes: Buffer) => {
      log += bytes.toString('utf8')
      const port = /Bound HistoryServer to 127\.0\.0\.1, and started at http:\/\/[^:]+:(\d+)/.exec(log)?.[1]
      if (port !== undefined) resolve(`http://127.0.0.1:${port}`)
    })
    child.once('exit', (code) => fail(`ended with ${code}`))
    child.once('error', reject)
  })
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  try {
    return { url: await started, stop }
  } catch (error) {
    await stop()
    throw error
  } finally {
    clearTimeout(late)
  }
}
