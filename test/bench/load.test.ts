import { describe, expect, it } from 'vitest'
import { assertWhole } from '../../bench/testbed/load.ts'
import { DiedError } from '../../bench/testbed/testbed.ts'

const check = (result: Readonly<Record<string, number>>, streams?: number) => () =>
  assertWhole(result, streams === undefined ? {} : { streams }, () => '\n  haproxy: closed it')

describe('the load', () => {
  it('is whole when every stream arrived and none broke', () => {
    expect(check({ failed: 0, arrived: 16, servedMib: 0 }, 16)).not.toThrow()
    expect(check({ failed: 0, arrived: 0, servedMib: 0 })).not.toThrow()
  })

  it('that lost streams in mid-run brings no figures', () => {
    const broken = { failed: 2, arrived: 16, servedMib: 0 }
    expect(check(broken, 16)).toThrow(DiedError)
    expect(check(broken, 16)).toThrow(/^2 streams broke in mid-run\n {2}haproxy: closed it/)
    expect(check({ failed: 0, arrived: 15, servedMib: 0 }, 16)).toThrow(/^15 of 16 streams arrived/)
  })

  it('of an older generator is refused with what to do', () => {
    const older: readonly Readonly<Record<string, number>>[] = [{ failed: 0 }, { failed: 0, arrived: 16 }]
    for (const one of older) expect(check(one, 16)).toThrow(/run bench\/peers\/install.sh/)
  })
})
