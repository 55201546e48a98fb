/**
 * Entry of the worker thread that runs the bulk lane: its own event loop, endpoint and
 * listeners, so that shuffle blocks never delay a heartbeat. Started by bulk-thread.ts only;
 * in a bundle it is a file of its own, bulk-worker.js, beside the others.
 */
import { getPriority, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import type { BulkWorkerData, FromWorker, ToWorker } from './bulk-messages.ts'
import { createLane } from './create-lane.ts'
import { TunnelError } from './errors.ts'
import { giveBackOnceSettled } from './give-back.ts'

const port = parentPort
if (port === null) throw new Error('bulk-worker is the entry of a worker thread')
const say = (message: FromWorker): void => port.postMessage(message)

/**
 * A heartbeat's hops go before blocks where all cores are busy. Beside 16 bulk streams on two cores a small
 * request took 2.4 ms at niceness 0 (p99 12.1), 0.65 at 5 (7.1), 0.22 at 8 (4.1) and 0.18 at 10 (3.5), where bulk
 * moved 584 MiB/s instead of 661 (bench `rpc-bulk`, a relay process a class, medians of 3 to 5). A sixth of the
 * weight of a busy thread of the JVM is left: more than the tenth of a core that a shuffle needs.
 */
const NICENESS = 8
const LAST_NICENESS = 19

try {
  // In a thread, Linux takes 0 for that thread alone (setpriority(2), C library/kernel differences).
  setPriority(0, Math.min(LAST_NICENESS, getPriority(0) + NICENESS))
} catch (error) {
  warn(`cannot lower the priority of the thread for bulk streams: ${(error as Error).message}`)
}

let asks = 0
const tokenAsks = new Map<number, PromiseWithResolvers<string>>()

/** Asks the main thread, which alone knows where tokens come from. */
function askToken(): Promise<string> {
  asks += 1
  const answer = Promise.withResolvers<string>()
  tokenAsks.set(asks, answer)
  say({ is: 'ask-token', ask: asks })
  return answer.promise
}

/** pino's way to be called: a text, or fields and a text. */
function warn(first: unknown, text?: string): void {
  if (typeof first === 'string') say({ is: 'warning', fields: {}, text: first })
  else say({ is: 'warning', fields: first as Record<string, unknown>, text: text ?? '' })
}

const { lane: options } = workerData as BulkWorkerData
const lane = createLane(
  options,
  askToken,
  {
    attached: ({ url, node, resumed }) => say({ is: 'attached', url, node, resumed }),
    detached: (reason) => say({ is: 'detached', reason }),
    failed: (failure) => say({ is: 'failed', failure }),
    streamOpened: (peer, openedPort) => say({ is: 'stream-opened', peer, port: openedPort }),
    control: undefined, // control streams are urgent
  },
  { warn },
)
giveBackOnceSettled()

port.on('message', (message: ToWorker) => {
  switch (message.is) {
    case 'start':
      lane.start().then(
        () => say({ is: 'started' }),
        (error: unknown) => {
          const code = error instanceof TunnelError ? error.code : 'internal'
          say({ is: 'not-started', code, message: error instanceof Error ? error.message : String(error) })
        },
      )
      return
    case 'token': {
      const answer = tokenAsks.get(message.ask)
      tokenAsks.delete(message.ask)
      if (message.token === undefined) answer?.reject(new Error(message.error ?? 'no token'))
      else answer?.resolve(message.token)
      return
    }
    case 'figures':
      void lane.figures().then((figures) => say({ is: 'figures', ask: message.ask, figures }))
      return
    case 'retire':
      lane.retire(message.address, message.generation)
      return
    case 'close':
      void lane.close().then(() => {
        say({ is: 'closed' })
        port.close()
      })
  }
})
