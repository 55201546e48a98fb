/**
 * Which benches run, and with whom: everything that is wrong with the wish is said here, before
 * the first run.
 */
import { againstContestants } from './against.ts'
import type { Bench } from './bench.ts'
import type { Contestant } from './contestants/index.ts'
import { type BenchOptions, BenchUsageError } from './options.ts'

/** Rivals of a quick look. */
const QUICK = ['ours', 'haproxy', 'rathole']

export interface Chosen {
  readonly bench: Bench
  readonly contestants: readonly Contestant[]
}

type Wish = Pick<BenchOptions, 'names' | 'isQuick' | 'against' | 'only'>

/** `checkout`: where our code at `--against` lies. Throws BenchUsageError. */
export function choose(
  benches: readonly Bench[],
  wish: Wish,
  checkout: string | undefined,
): readonly Chosen[] {
  const isNamed = wish.names.length > 0
  const chosen = benches
    .filter((bench) => (isNamed ? wish.names.includes(bench.name) : !wish.isQuick || bench.isQuick === true))
    .map((bench) => ({ bench, contestants: contestantsOf(bench, wish, checkout) }))
  const known = new Set(chosen.flatMap(({ contestants }) => contestants.map(({ name }) => name)))
  for (const name of wish.only) {
    if ([...known].some((one) => isMeant(one, name))) continue
    throw new BenchUsageError(`--only ${name}: there are ${[...known].join(', ')}`)
  }
  return chosen
}

/** `ours` means `ours@REF` as well. */
export function isMeant(contestant: string, name: string): boolean {
  return contestant === name || contestant.split('@', 1)[0] === name
}

function contestantsOf(bench: Bench, wish: Wish, checkout: string | undefined): readonly Contestant[] {
  const all =
    wish.against === undefined || checkout === undefined
      ? bench.contestants
      : againstContestants(bench, wish.against, checkout)
  if (!wish.isQuick) return all
  const quick = all.filter(({ name }) => QUICK.some((one) => isMeant(name, one)))
  if (quick.some(({ isOurs }) => isOurs)) return quick
  throw new BenchUsageError(`${bench.name} has no quick form: run it without --quick`)
}
