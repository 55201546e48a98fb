import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import {
  ancestors,
  formatOwners,
  isAlive,
  ownerGone,
  type ProcessName,
  parseOwners,
} from '../../driver-agent/owner.ts'

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** A process that prints its ancestors' names and then sleeps. */
async function sleeper(): Promise<ProcessName> {
  const script = `const {readFileSync}=require('fs');const s=readFileSync('/proc/self/stat','latin1');
    console.log(process.pid+':'+s.slice(s.lastIndexOf(')')+2).split(' ')[19]);setInterval(()=>{},1000)`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] })
  children.push(child)
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  const [name] = parseOwners(line.toString().trim())
  return name as ProcessName
}

describe('the process whose end is the end of the agent', () => {
  it('is looked for among the ancestors, nearest first', () => {
    const names = ancestors()
    expect(names[0]?.pid).toBe(process.ppid)
    expect(names.every(isAlive)).toBe(true)
    expect(parseOwners(formatOwners(names))).toEqual(names)
  })

  it('is another one when only the number is the same', async () => {
    const name = await sleeper()
    expect(isAlive(name)).toBe(true)
    expect(isAlive({ ...name, started: name.started + 1 })).toBe(false)
  })

  it('is the nearest that lives on; those that end at once do not count', async () => {
    const [passing, shell] = [await sleeper(), await sleeper()]
    let isOver = false
    const over = ownerGone([passing, shell]).then(() => {
      isOver = true
    })
    process.kill(passing.pid, 'SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    expect(isOver).toBe(false)
    process.kill(shell.pid, 'SIGKILL')
    await over
  })
})
