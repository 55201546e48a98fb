/**
 * The commands: what each takes, how --help shows it, what must hold between its options, and
 * which room runs it. Rooms are imported only when their command runs.
 */
import type { CommandContext } from './context.ts'
import { UsageError } from './errors.ts'
import { agentOptions, submitOptions } from './options/agent.ts'
import { doctorOptions } from './options/doctor.ts'
import { execOptions } from './options/exec.ts'
import type { OptionsOf, OptionTable } from './options/option.ts'
import { relayOptions } from './options/relay.ts'
import { shimOptions } from './options/shim.ts'
import { tokenOptions } from './options/token.ts'

export interface Command {
  readonly name: string
  readonly says: string
  readonly table: OptionTable
  readonly example: string
  /** What may follow the options, behind `--`: its name in the options object and in --help. */
  readonly rest?: { readonly key: string; readonly shown: string; readonly absent: string }
  readonly hidden: boolean
  /** Checks what one option alone cannot show, then runs. `options` was read from `table`. */
  run(options: never, context: CommandContext): Promise<number>
}

function command<Table extends OptionTable, Rest = unknown>(
  spec: Omit<Command, 'table' | 'run' | 'hidden'> & {
    readonly table: Table
    readonly hidden?: boolean
    readonly check?: (options: OptionsOf<Table>) => void
    readonly load: () => Promise<
      (options: OptionsOf<Table> & Rest, context: CommandContext) => Promise<number>
    >
  },
): Command {
  return {
    ...spec,
    hidden: spec.hidden ?? false,
    async run(options: OptionsOf<Table> & Rest, context: CommandContext) {
      spec.check?.(options)
      return await (await spec.load())(options, context)
    },
  }
}

interface Times {
  readonly keepaliveMs: number
  readonly silenceMs: number
}
function checkTimes(options: Times): void {
  if (options.keepaliveMs * 2 <= options.silenceMs) return
  throw new UsageError(
    'conflict',
    `--keepalive ${options.keepaliveMs}ms: must be at most half of --silence, which is ${options.silenceMs}ms`,
  )
}

function checkTogether(condition: boolean, sentence: string): void {
  if (!condition) throw new UsageError('conflict', sentence)
}

function checkAgent(options: Omit<OptionsOf<typeof submitOptions>, 'firstCallMs'>): void {
  checkTimes(options)
  const isOwnRelay = options.relay.length === 0
  checkTogether(
    isOwnRelay || options.relayListen === undefined,
    '--relay-listen is for the relay inside, which --relay switches off; give one of them',
  )
  checkTogether(
    isOwnRelay || options.relayAdvertise.length === 0,
    '--relay-advertise is for the relay inside, which --relay switches off; give one of them',
  )
  checkTogether(
    options.relayAdvertise.length === 0 || options.relayListen !== undefined,
    '--relay-advertise needs --relay-listen: without it the relay inside can be reached on this machine only',
  )
}

export const commands: readonly Command[] = [
  command<typeof submitOptions, { readonly sparkArguments: readonly string[] }>({
    name: 'submit',
    says: 'runs spark-submit with its executors on functions, and ends with its exit code',
    table: submitOptions,
    example: 'spark-lambda-relay submit --max-executors 4 -- --conf spark.executor.instances=4 job.py',
    rest: {
      key: 'sparkArguments',
      shown: 'spark-submit arguments',
      absent:
        'submit needs what spark-submit is to run, behind --, such as: spark-lambda-relay submit -- job.py',
    },
    check: checkAgent,
    load: async () => (await import('../driver-agent/submit.ts')).runSubmit,
  }),
  command({
    name: 'agent',
    says: 'the same for a driver you start yourself: pyspark, spark-shell, a notebook',
    table: agentOptions,
    example: 'eval "$(spark-lambda-relay agent --print-env)" && pyspark',
    check: checkAgent,
    load: async () => (await import('../driver-agent/agent.ts')).runAgent,
  }),
  command({
    name: 'relay',
    says: 'runs a relay',
    table: relayOptions,
    example:
      'spark-lambda-relay relay --listen 0.0.0.0:7100 --secret-file keys --tls-cert cert.pem --tls-key key.pem',
    check(options) {
      checkTimes(options)
      checkTogether(
        (options.tlsCert === undefined) === (options.tlsKey === undefined),
        '--tls-cert and --tls-key belong together; give both or neither',
      )
      checkTogether(
        options.workers === 1 || options.redis !== undefined,
        `--workers ${options.workers} needs --redis: the workers find each other's endpoints there`,
      )
      checkTogether(
        options.redis !== undefined || (options.redisCa ?? options.redisPasswordFile) === undefined,
        '--redis-ca and --redis-password-file are for --redis; give it too',
      )
    },
    load: async () => (await import('../relay/server/run.ts')).runRelay,
  }),
  command({
    name: 'doctor',
    says: 'says what this machine allows, what is missing, and how to mend it',
    table: doctorOptions,
    example: 'spark-lambda-relay doctor',
    load: async () => (await import('./doctor/run.ts')).runDoctor,
  }),
  command<typeof execOptions, { readonly command: readonly string[] }>({
    name: 'exec',
    says: 'runs any command as an endpoint with a virtual address',
    table: execOptions,
    example:
      'spark-lambda-relay exec --relay tcp://relay:7100 --app demo --address 127.64.0.2 --dial 6379 --token-file token -- redis-cli -h 127.64.0.1',
    rest: { key: 'command', shown: 'command', absent: 'exec needs a command to run, behind --' },
    check(options) {
      checkTimes(options)
      checkTogether(
        options.tokenFile === undefined || options.secretFile === undefined,
        '--token-file and --secret-file: give one of them',
      )
    },
    load: async () => (await import('../executor-shim/exec.ts')).runExec,
  }),
  command({
    name: 'token',
    says: 'prints a token that lets its holder attach as an address',
    table: tokenOptions,
    example:
      '(umask 077; spark-lambda-relay token --app demo --address 127.64.0.2 --secret-file keys --expires 2h > token)',
    load: async () => (await import('../relay/token/run.ts')).runToken,
  }),
  command({
    name: 'shim',
    says: 'one executor’s life inside of a function; started by providers',
    table: shimOptions,
    example: 'spark-lambda-relay shim < payload.json',
    hidden: true,
    check: checkTimes,
    load: async () => (await import('../executor-shim/main.ts')).runShim,
  }),
]

/** Variables that are no options. */
export const otherVariables = ['SLR_SECRET', 'SLR_CACHE'] as const
