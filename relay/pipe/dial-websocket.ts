/**
 * Dials a relay through an HTTP upgrade. Imported by dial.ts when such a URL is dialled, and not
 * before.
 */
import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import type { PipeDialerOptions, WebUrl } from './dial.ts'
import { caOf, dialErrorOf } from './dial-error.ts'
import { MAX_PAYLOAD_BYTES, WebSocketPipe, zeroMask } from './websocket-pipe.ts'

export function dialWebSocket(
  url: WebUrl,
  options: PipeDialerOptions,
  signal: AbortSignal,
): Promise<WebSocketPipe> {
  const isSecure = url.is === 'wss'
  const webSocket = new WebSocket(url.url, {
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD_BYTES,
    skipUTF8Validation: true,
    ...(isSecure ? { generateMask: zeroMask, minVersion: 'TLSv1.2', ...caOf(options) } : {}),
  })
  return new Promise((resolve, reject) => {
    let response: IncomingMessage | undefined
    const settle = (error?: Error): void => {
      signal.removeEventListener('abort', handleAbort)
      webSocket.off('open', handleOpen)
      webSocket.off('error', handleError)
      if (error === undefined) return
      webSocket.on('error', () => {}) // terminate() before the upgrade tells of it, once more
      webSocket.terminate()
      reject(error)
    }
    const handleOpen = (): void => {
      settle()
      const socket = (response as IncomingMessage).socket // `upgrade` comes before `open`
      socket.setNoDelay(true)
      resolve(new WebSocketPipe({ name: url.url, webSocket, socket }))
    }
    const handleError = (error: Error): void => {
      settle(dialErrorOf(url.url, error, isSecure))
    }
    const handleAbort = (): void => settle(signal.reason)
    signal.addEventListener('abort', handleAbort, { once: true })
    webSocket.once('upgrade', (from) => {
      response = from
    })
    webSocket.once('open', handleOpen)
    webSocket.once('error', handleError)
  })
}
