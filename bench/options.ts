/** The command line of the bench. Pure: throws what is wrong, run.ts ends the process. */

export interface BenchOptions {
  readonly shouldHelp: boolean
  /** Empty: all. */
  readonly names: readonly string[]
  readonly isQuick: boolean
  readonly against: string | undefined
  readonly shouldProfile: boolean
  readonly runs: number
  readonly seconds: number
  readonly noiseCores: number
  /** Names of contestants to leave in. Empty: all. */
  readonly only: readonly string[]
  /** Machine whose report is to be written, and nothing measured. */
  readonly report: string | undefined
}

/** What a figure that is to be quoted is measured with, at least. */
export const QUOTABLE = { runs: 5, seconds: 3, noiseCores: 0.15 } as const

/** Wrong use: exit 2. */
export class BenchUsageError extends Error {
  override readonly name = 'BenchUsageError'
  readonly exitCode = 2
}

const flags = {
  '--help': 'this text',
  '--quick': 'ourselves, HAProxy and rathole, one short run each; NOT QUOTABLE',
  '--against': 'REF: our code at that commit too, beside the working tree',
  '--profile': 'flame graphs of our relay and endpoints, and what each of their threads allocates',
  '--runs': 'N: runs of each contestant that count, after one that warms up (default 5; fewer: NOT QUOTABLE)',
  '--seconds': 'S: length of the measured window (default 3; less: NOT QUOTABLE)',
  '--noise': 'CORES: a run in which others kept more busy is made again (default 0.15; more: NOT QUOTABLE)',
  '--only': 'NAMES: only these contestants, comma separated; NOT QUOTABLE',
  '--report': 'MACHINE: writes the report out of the results of that machine, and measures nothing',
} as const

export function usage(names: readonly string[]): string {
  const lines = Object.entries(flags).map(([flag, says]) => `  ${flag.padEnd(10)} ${says}`)
  return [
    'usage: npm run bench -- [NAME]... [flags]',
    `benches: ${names.join(', ')}`,
    'flags:',
    ...lines,
    'example: npm run bench -- bulk-16 rpc --runs 3 --only ours,haproxy',
  ].join('\n')
}

/** Throws BenchUsageError with the list of what there is. */
export function parseOptions(args: readonly string[], known: readonly string[]): BenchOptions {
  const wrong = (says: string): never => {
    throw new BenchUsageError(`${says}\n${usage(known)}`)
  }
  const names: string[] = []
  const values = new Map<string, string>()
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] as string
    if (!word.startsWith('-')) {
      if (!known.includes(word)) wrong(`there is no bench ${word}`)
      names.push(word)
    } else if (!Object.hasOwn(flags, word)) wrong(`there is no flag ${word}`)
    else if (word === '--help' || word === '--quick' || word === '--profile') values.set(word, 'yes')
    else {
      at += 1
      const value = args[at]
      if (value === undefined || value.startsWith('-')) wrong(`${word} needs a value`)
      values.set(word, value as string)
    }
  }
  const number = (flag: string, fallback: number, least: number): number => {
    const text = values.get(flag)
    const value = text === undefined ? fallback : Number(text)
    if (!(value >= least)) wrong(`${flag} ${text}: must be a number from ${least} on`)
    return value
  }
  const isQuick = values.has('--quick')
  if (values.has('--report') && args.length > 2) wrong('--report stands alone: it measures nothing')
  return {
    shouldHelp: values.has('--help'),
    names,
    isQuick,
    against: values.get('--against'),
    shouldProfile: values.has('--profile'),
    runs: Math.floor(number('--runs', isQuick ? 1 : QUOTABLE.runs, 1)),
    seconds: number('--seconds', isQuick ? 2 : QUOTABLE.seconds, 0.1),
    noiseCores: number('--noise', QUOTABLE.noiseCores, 0),
    only: values.get('--only')?.split(',') ?? [],
    report: values.get('--report'),
  }
}
