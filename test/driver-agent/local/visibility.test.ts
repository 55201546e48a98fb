import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  contains,
  type Mark,
  type Mount,
  planMounts,
  stagesOf,
} from '../../../driver-agent/local/visibility.ts'

const hide = (path: string): Mark => ({ path, is: 'hide', kind: 'folder' })
const keep = (path: string): Mark => ({ path, is: 'keep', kind: 'folder' })
const stage = '/base/run/stage'

/**
 * What a path shows after the mounts: `undefined` when it lies in an empty folder, else the path
 * on the host that is seen there. Carries the plan out as the kernel would.
 */
function seenAt(path: string, mounts: readonly Mount[]): string | undefined {
  const table: { readonly at: string; readonly shows: string | undefined }[] = []
  const look = (wanted: string): string | undefined => {
    const under = table.findLast(({ at }) => at === wanted || contains(at, wanted))
    if (under === undefined) return wanted
    return under.shows === undefined ? undefined : under.shows + wanted.slice(under.at.length)
  }
  for (const mount of mounts) {
    if (mount.do === 'tmpfs') table.push({ at: mount.target, shows: undefined })
    else {
      const inside = table.filter(({ at }) => contains(mount.source, at))
      const shows = look(mount.source)
      table.push({ at: mount.target, shows })
      // --rbind takes along what is mounted below.
      for (const { at, shows: below } of inside) {
        table.push({ at: mount.target + at.slice(mount.source.length), shows: below })
      }
    }
  }
  return look(path)
}

describe('what a function sees', () => {
  it('is nothing of a hidden folder but what is kept', () => {
    const mounts = planMounts([hide('/tmp'), keep('/tmp/spark')], stage)
    expect(seenAt('/tmp/secret', mounts)).toBeUndefined()
    expect(seenAt('/tmp/spark/jars', mounts)).toBe('/tmp/spark/jars')
    expect(seenAt('/etc/passwd', mounts)).toBe('/etc/passwd')
  })

  it('is its own folder in place of /tmp', () => {
    const tmp: Mark = { ...hide('/tmp'), empty: { mode: '1777', bytes: 0, source: '/tmp/base/run/local-1' } }
    const mounts = planMounts([tmp, keep('/tmp/relay.sock')], '/tmp/base/run/stage')
    expect(seenAt('/tmp/work', mounts)).toBe('/tmp/base/run/local-1/work')
    expect(seenAt('/tmp/relay.sock', mounts)).toBe('/tmp/relay.sock')
    expect(seenAt('/tmp/base/run/local-2', mounts)).toBe('/tmp/base/run/local-1/base/run/local-2') // its own, and empty
  })

  it('is not the run folder inside a checkout that it needs to see', () => {
    const mounts = planMounts(
      [
        hide('/tmp'),
        keep('/tmp/checkout'),
        hide('/tmp/checkout/.run'),
        keep('/tmp/checkout/.run/relay.sock'),
      ],
      '/tmp/checkout/.run/stage',
    )
    expect(seenAt('/tmp/checkout/cli/main.ts', mounts)).toBe('/tmp/checkout/cli/main.ts')
    expect(seenAt('/tmp/checkout/.run/token', mounts)).toBeUndefined()
    expect(seenAt('/tmp/checkout/.run/relay.sock', mounts)).toBe('/tmp/checkout/.run/relay.sock')
  })

  it('is /dev/null in place of a hidden file', () => {
    const mounts = planMounts([{ path: '/home/me/secret', is: 'hide', kind: 'file' }], stage)
    expect(seenAt('/home/me/secret', mounts)).toBe('/dev/null')
  })

  it('is hidden where one and the same path is to be hidden and kept', () => {
    expect(seenAt('/tmp/a', planMounts([keep('/tmp'), hide('/tmp')], stage))).toBeUndefined()
  })

  it('follows the nearest mark above every path, however marks lie within each other', () => {
    const path = fc
      .array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 5 })
      .map((parts) => `/${parts.join('/')}`)
    const marks = fc.array(
      fc.record({
        path,
        is: fc.constantFrom('hide' as const, 'keep' as const),
        kind: fc.constant('folder' as const),
      }),
      { maxLength: 8 },
    )
    fc.assert(
      fc.property(marks, path, (given, asked) => {
        const inRoom = [...given, hide('/stage')]
        const mounts = planMounts(inRoom, '/stage')
        const above = inRoom.filter(({ path: at }) => at === asked || contains(at, asked))
        const depth = Math.max(0, ...above.map(({ path: at }) => at.length))
        const nearest = above.filter(({ path: at }) => at.length === depth)
        const isHidden = nearest.some(({ is }) => is === 'hide')
        expect(seenAt(asked, mounts)).toBe(isHidden ? undefined : asked)
        const stages = mounts.filter((mount) => mount.do === 'tmpfs' && /^\/stage\/\d+$/.test(mount.target))
        expect(stages.length).toBeLessThanOrEqual(stagesOf(inRoom))
      }),
      { numRuns: 2000 },
    )
  })
})
