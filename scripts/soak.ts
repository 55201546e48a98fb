/**
 * `npm run soak -- --minutes 30 [--seed N] [--real]`: random faults, all bytes checked. Prints the
 * seed; the same seed draws the same faults again. Ends with 1 when something was wrong.
 */
import { realTimes, shortTimes } from '../test/faults/fleet.ts'
import { soak } from '../test/faults/soak.ts'
import { numberFrom, scriptCommand } from './script-command.ts'

interface SoakOptions {
  readonly minutes: number
  readonly seed: number
  readonly real: boolean
}

const command = scriptCommand({
  name: 'soak',
  says: 'Random faults for a while: relays, links, Redis and endpoints; every byte is checked.',
  example: '-- --minutes 5 --seed 670813424',
})
  .option('--minutes <minutes>', 'how long', numberFrom(0.1, 1_440, true), 30)
  .option('--seed <number>', 'draws the same faults again', numberFrom(0), Date.now() % 1_000_000_000)
  .option('--real', 'silence, grace and keepalive as they are by default, instead of a quarter', false)
  .parse()
const { minutes, seed, real } = command.opts<SoakOptions>()
// By exit, so that folders are removed; relays, Redis and endpoints end with this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
console.log(`seed ${seed}, ${minutes} minutes`)
const result = await soak({ minutes, seed, times: real ? realTimes : shortTimes }, (line) =>
  console.log(line),
)
console.log(JSON.stringify(result, undefined, 2))
process.exit(result.wrong.length === 0 ? 0 : 1)
