/**
 * `npm run soak -- --minutes 30 [--seed N] [--real]`: random faults, all bytes checked. Prints the
 * seed; the same seed draws the same faults again. Ends with 1 when something was wrong.
 */
import { parseArgs } from 'node:util'
import { realTimes, shortTimes } from '../test/faults/fleet.ts'
import { soak } from '../test/faults/soak.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
    /** S, G and the keepalive as they are by default, instead of a quarter. */
    real: { type: 'boolean', default: false },
  },
})
const minutes = Number(values.minutes)
const seed = Number(values.seed)
if (!(minutes > 0) || !Number.isInteger(seed)) {
  console.error('usage: npm run soak -- [--minutes N] [--seed N] [--real]')
  process.exit(2)
}
console.log(`seed ${seed}, ${minutes} minutes`)
const result = await soak({ minutes, seed, times: values.real ? realTimes : shortTimes }, (line) =>
  console.log(line),
)
console.log(JSON.stringify(result, undefined, 2))
process.exit(result.wrong.length === 0 ? 0 : 1)
