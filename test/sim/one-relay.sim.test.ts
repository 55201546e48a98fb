import { describe, it } from 'vitest'
import { holdSchedules, patienceMs } from './hold-schedules.ts'
import { gentlePlans, roughPlans } from './plan.ts'

describe('any schedule with one relay', () => {
  it(
    'of cuts, silences, stops and restarts delivers every byte once and in order, and costs no stream',
    () => holdSchedules('gentle', gentlePlans, 0.3),
    patienceMs(0.3),
  )
  it(
    'of whatever can happen ends every stream by all its bytes or a named reset at both ends, and leaves nothing',
    () => holdSchedules('rough', roughPlans, 0.26),
    patienceMs(0.26),
  )
})
