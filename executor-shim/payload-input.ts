/**
 * The payload as a function gets it: one line of JSON on stdin, which then stays open as a
 * lifeline. Used by shim.ts.
 */
import type { Readable } from 'node:stream'
import { ShimError } from './errors.ts'
import { type FunctionPayload, functionPayload } from './payload.ts'

/** Lambda's largest payload is 6 MB; more is a mistake, and must not fill the memory. */
const MAX_BYTES = 8 * 1024 * 1024

export interface PayloadInput {
  readonly payload: FunctionPayload
  /** Settles when stdin ends: whoever started us is gone. */
  readonly parentGone: Promise<void>
}

/** Throws ShimError `payload`. Nothing of the payload gets into the message: it holds secrets. */
export async function readPayload(input: Readable): Promise<PayloadInput> {
  let ended = () => {}
  const parentGone = new Promise<void>((resolve) => {
    ended = resolve
  })
  const line = await new Promise<Buffer>((resolve, reject) => {
    let chunks: Buffer[] = []
    let bytes = 0
    let whole = false
    input.on('data', (chunk: Buffer) => {
      if (whole) return // nothing may follow, and nothing would be read
      const end = chunk.indexOf(0x0a)
      chunks.push(end === -1 ? chunk : chunk.subarray(0, end))
      bytes += chunk.length
      if (end !== -1) {
        whole = true
        resolve(Buffer.concat(chunks))
        chunks = []
      } else if (bytes > MAX_BYTES)
        reject(new ShimError('payload', `stdin holds more than ${MAX_BYTES} bytes without a line feed`))
    })
    const gone = () => {
      ended()
      reject(
        new ShimError('payload', 'stdin ended before a whole line: the payload is one line of JSON on stdin'),
      )
    }
    input.once('end', gone)
    input.once('error', gone)
    input.once('close', gone)
  })
  return { payload: parsePayload(line), parentGone }
}

function parsePayload(line: Buffer): FunctionPayload {
  let value: unknown
  try {
    value = JSON.parse(line.toString('utf8'))
  } catch {
    throw new ShimError('payload', 'stdin is not JSON: the payload is one line of JSON on stdin')
  }
  const parsed = functionPayload.safeParse(value)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  throw new ShimError('payload', `the payload does not fit this version: ${faults.join('; ')}`)
}
