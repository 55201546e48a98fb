import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import { readPayload } from '../../executor-shim/payload-input.ts'
import { examplePayload } from '../helper/example-payload.ts'

it('takes the first line as payload, in whatever pieces it comes', async () => {
  const input = new PassThrough()
  const read = readPayload(input)
  const line = Buffer.from(`${JSON.stringify(examplePayload())}\n`)
  for (const byte of line) input.write(Buffer.of(byte))
  expect((await read).payload).toEqual(examplePayload())
})

it('tells when stdin ends: whoever started it is gone', async () => {
  const input = new PassThrough()
  input.write(`${JSON.stringify(examplePayload())}\n`)
  const { parentGone } = await readPayload(input)
  let gone = false
  void parentGone.then(() => {
    gone = true
  })
  await new Promise(setImmediate)
  expect(gone).toBe(false)
  input.end()
  await parentGone
})

it.each([
  ['no line at all', '', 'ended before a whole line'],
  ['a line without its end', '{"version":1}', 'ended before a whole line'],
  ['no JSON', 'token=s3cret\n', 'not JSON'],
  ['another version', '{"version":2,"token":"s3cret"}\n', 'version'],
])('refuses %s, and does not repeat what was in it', async (_, text, why) => {
  const input = new PassThrough()
  input.end(text)
  const error = await readPayload(input).then(
    () => undefined,
    (reason: Error) => reason,
  )
  expect(error).toMatchObject({ code: 'payload', exitCode: 2 })
  expect(error?.message).toContain(why)
  expect(error?.message).not.toContain('s3cret')
})
