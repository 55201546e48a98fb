/**
 * The Kubernetes API as far as Spark calls it, on 127.0.0.1: who may call, which calls there
 * were, and how answers are written. What is answered: routes.ts. Used by driver-agent/agent.ts.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isMilestone } from '../../relay/time/milestone.ts'
import { Crowd } from '../crowd.ts'
import { PodsError } from '../pods/index.ts'
import { type Answer, failure, HttpError } from './answer.ts'
import { carriesToken, readCall } from './request.ts'
import { route } from './routes.ts'
import type { CallsSeen, Facade, FacadeOptions } from './types.ts'

/**
 * Spark polls each 30 s over connections that it keeps: one that we close in the moment it is
 * used again costs a call, and 4.x counts a lost POST as a failed executor.
 */
const IDLE_CONNECTION_MS = 10 * 60_000
const SLOWEST_REQUEST_MS = 30_000
/** Spark has about five. Anybody on this machine can connect, so there is an end to it. */
const MOST_CONNECTIONS = 500

/** Listens on 127.0.0.1 and answers until close(). Rejects when the port is taken. */
export async function startFacade(options: FacadeOptions): Promise<Facade> {
  if (options.token.length < 16) throw new Error('the token of the facade must have 16 characters or more')
  const facade = new RunningFacade(options)
  await facade.listen(options.port ?? 0)
  return facade
}

class RunningFacade implements Facade {
  readonly #options: FacadeOptions
  readonly #server: Server
  readonly #crowd: Crowd
  #count = 0
  #lastAtMs: number | undefined
  #unauthorised = 0
  #dropped = 0

  constructor(options: FacadeOptions) {
    this.#options = options
    // No 'upgrade' listener: requests with Upgrade come as ordinary ones, and are refused as such.
    this.#server = createServer(
      {
        keepAliveTimeout: IDLE_CONNECTION_MS,
        requestTimeout: SLOWEST_REQUEST_MS,
        headersTimeout: SLOWEST_REQUEST_MS,
      },
      (request, response) => {
        this.#handle(request, response).catch((error: unknown) => {
          // One call that fails is no reason to end a job.
          options.logger.error({ err: error }, 'a call to the facade could not be answered')
          response.destroy()
        })
      },
    )
    this.#crowd = new Crowd(this.#server, MOST_CONNECTIONS, () => {
      this.#dropped += 1
      if (isMilestone(this.#dropped)) {
        options.logger.warn(
          { dropped: this.#dropped, most: MOST_CONNECTIONS },
          'too many connections to the facade',
        )
      }
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }

  callsSeen(): CallsSeen {
    return { count: this.#count, lastAtMs: this.#lastAtMs, unauthorised: this.#unauthorised }
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      // Watches never end by themselves.
      this.#server.closeAllConnections()
    })
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', (error) =>
      this.#options.logger.debug({ err: error }, 'a client of the facade went away'),
    )
    let written: Written | undefined
    try {
      const answer = await this.#answer(request, response)
      written = answer === undefined ? undefined : inWriting(answer)
    } catch (error) {
      written = inWriting(this.#answerError(error))
    }
    if (written === undefined) return
    // Without the query: a label can say more than a log should keep.
    const path = request.url?.split('?', 1)[0]
    this.#options.logger.debug({ method: request.method, path, http: written.http }, 'facade')
    write(response, written)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<Answer | undefined> {
    if (!carriesToken(request.headers.authorization, this.#options.token)) {
      return this.#refuseUnauthorised(request)
    }
    this.#crowd.trust(request.socket)
    this.#count += 1
    this.#lastAtMs = this.#options.clock.now()
    // Answered with 200, a WebSocket client of fabric8 asks again without (SPARK.md). 4xx would end its watch.
    if (request.headers.upgrade !== undefined) return { http: 200, body: undefined }
    const { pods, clock, logger } = this.#options
    return route({ pods, response, clock, logger }, readCall(request))
  }

  #refuseUnauthorised(request: IncomingMessage): Answer {
    this.#unauthorised += 1
    if (isMilestone(this.#unauthorised)) {
      const { method, socket } = request
      const fields = { method, remotePort: socket.remotePort, unauthorised: this.#unauthorised }
      this.#options.logger.warn(fields, 'a call to the facade had no valid token')
    }
    // The body of a stranger is not read, so the connection cannot go on.
    return { ...failure(401, 'Unauthorized', 'Unauthorized'), close: true }
  }

  #answerError(error: unknown): Answer {
    if (error instanceof PodsError) return failure(error.http, error.reason, error.message)
    if (error instanceof HttpError) {
      return { ...failure(error.http, error.reason, error.message), close: error.unread }
    }
    this.#options.logger.error({ err: error }, 'a call to the facade failed')
    return failure(500, 'InternalError', 'the facade of spark-lambda-relay failed; its log says why')
  }
}

interface Written extends Answer {
  readonly text: string
}

/** Throws for a body that is no JSON. */
function inWriting(answer: Answer): Written {
  return { ...answer, text: answer.body === undefined ? '' : JSON.stringify(answer.body) }
}

function write(response: ServerResponse, { http, body, close, text }: Written): void {
  if (response.destroyed || response.headersSent) {
    response.destroy()
    return
  }
  response.writeHead(http, {
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    'content-length': Buffer.byteLength(text),
    ...(close === true ? { connection: 'close' } : {}),
  })
  response.end(text)
}
