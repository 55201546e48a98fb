import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { socketPlace } from '../../../driver-agent/local/needed-paths.ts'

it("shows functions the folder of a relay's socket, so that a relay that came back is found, but nothing else with it", () => {
  const folder = mkdtempSync(join(tmpdir(), 'slr-socket-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const own = join(folder, 'uplink')
  mkdirSync(own)
  const socket = join(own, 'relay.sock')
  expect(socketPlace(socket)).toBe(own) // the relay is away just now
  writeFileSync(socket, '')
  expect(socketPlace(socket)).toBe(own)
  writeFileSync(join(own, 'secret'), '')
  expect(socketPlace(socket)).toBe(socket)
})
