import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

interface LockEntry {
  readonly version?: string
  readonly resolved?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
  readonly packages: Readonly<Record<string, LockEntry>>
}

describe('package-lock.json', () => {
  it('names no registry, so that every machine asks its own', () => {
    const resolved = Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined)
    expect(resolved).toEqual([])
  })

  // npm 11.16 and later refuse `npm ci` when one is missing, and a registry mirror that lacks
  // packages for other platforms makes `npm install` drop them (npm/cli issue 9846).
  it('has an entry with a version for every optional package of every platform', () => {
    const wanted = Object.values(lock.packages).flatMap((entry) =>
      Object.keys(entry.optionalDependencies ?? {}),
    )
    const missing = wanted.filter((name) => lock.packages[`node_modules/${name}`]?.version === undefined)
    expect(wanted.length).toBeGreaterThan(20)
    expect(missing).toEqual([])
  })
})
