import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { asNode } from '../helper/pretended-node.ts'

/** Runs the door as a Node of that version would. */
function runAs(version: string, args: readonly string[]) {
  const words = [...asNode(version), 'bin/spark-lambda-relay.js', ...args]
  return spawnSync(process.execPath, words, { encoding: 'utf8' })
}

describe('bin/spark-lambda-relay.js', () => {
  it.each(['12.22.12', '18.20.0', '20.20.2', '22.17.1'])(
    'tells Node %s in one sentence what to run instead',
    (version) => {
      const { status, stdout, stderr } = runAs(version, ['--help'])
      expect(stderr).toBe(
        `spark-lambda-relay: this is Node ${version}, but Node 22.18 or later is needed; in a checkout run "npx spark-lambda-relay" or an npm script, which use the Node of node_modules\n`,
      )
      expect(stdout).toBe('')
      expect(status).toBe(2)
    },
  )

  it('starts the program on a Node that is new enough, and passes its exit code on', () => {
    expect(runAs('22.18.0', ['--version'])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    })
    expect(runAs('24.0.0', ['relay', '--nonsense'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--nonsense'),
    })
  })

  it('is written so that old Nodes can read it', () => {
    const text = readFileSync('bin/spark-lambda-relay.js', 'utf8')
    expect(text).not.toMatch(/=>|\?\.|\?\?|`|\bconst\b|\blet\b|\bawait\b|node:/)
  })
})
