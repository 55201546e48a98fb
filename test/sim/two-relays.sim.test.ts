import { describe, it } from 'vitest'
import { holdSchedules, patienceMs } from './hold-schedules.ts'
import { homePlans, roughHomePlans } from './plan.ts'

describe('any schedule with two relays and one directory', () => {
  it(
    'of cuts, silences, stops, restarts and drains delivers every byte once and in order, and costs no stream',
    () => holdSchedules('homes', homePlans, 0.22),
    patienceMs(0.22),
  )
  it(
    'of whatever can happen ends every stream by all its bytes or a named reset at both ends, and leaves nothing',
    () => holdSchedules('rough-homes', roughHomePlans, 0.22),
    patienceMs(0.22),
  )
})
