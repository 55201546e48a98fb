/**
 * Options of `submit` and `agent`. The types are what driver-agent/submit.ts and
 * driver-agent/agent.ts get.
 */
import { address, choice, duration, integer, path, repeated, text, toggle, url } from './kinds.ts'
import type { OptionsOf, OptionTable } from './option.ts'
import {
  application,
  endpointOptions,
  logOptions,
  relaySchemes,
  secretFile,
  uplinkOptions,
} from './shared.ts'

const common = {
  provider: choice('--provider', {
    value: 'name',
    says: 'what runs executors: namespaces on this machine',
    of: ['local'],
    default: 'local',
  }),
  ...uplinkOptions,
  relayListen: address('--relay-listen', {
    says: 'without --relay: where the relay inside listens, beside its own Unix socket',
    unix: true,
  }),
  relayAdvertise: repeated(
    url('--relay-advertise', {
      says: 'URL by which others reach the relay inside (default: what it listens on)',
      of: relaySchemes,
    }),
  ),
  app: { ...application, says: 'application id on the relay (default: a random one)' },
  secretFile: {
    ...secretFile,
    says: `${secretFile.says}. With --relay: the key that the relay knows; else a fresh one is made`,
  },
  sparkVersion: text('--spark-version', {
    says: 'Spark to download when SPARK_HOME is not set',
    value: 'x.y.z',
    allowed: 'a version from 3.5.0 on, such as 3.5.7 or 4.3.0',
    pattern: /^(3\.[5-9]\.\d+|[4-9]\.\d+\.\d+)$/,
    default: '4.3.0',
  }),
  maxExecutors: integer('--max-executors', {
    says: 'functions at once, whatever Spark asks for',
    min: 1,
    max: 10_000,
    default: 100,
  }),
  maxWallMs: duration('--max-wall', {
    says: 'the whole job is ended after this long',
    min: 1_000,
    // A timer counts up to 2^31 ms, 24.8 days; a longer one would run at once.
    max: 24 * 24 * 3_600_000,
    default: undefined,
  }),
  maxLifetimeMs: duration('--max-lifetime', {
    says: 'a function is ended after this long, as Lambda does',
    min: 5_000,
    max: 24 * 3_600_000,
    default: 900_000,
  }),
  startDeadlineMs: duration('--start-deadline', {
    says: 'an executor must have dialled the driver within this time of being asked for',
    min: 1_000,
    max: 900_000,
    default: 60_000,
  }),
  egress: choice('--egress', {
    value: 'what',
    says: 'what executors reach beside the relay: nothing',
    of: ['none'],
    default: 'none',
  }),
  logDir: path('--log-dir', {
    value: 'folder',
    says: 'a log file an executor is written here (default: a fresh folder, kept when something failed)',
  }),
  summaryJson: path('--summary-json', { says: 'the summary is written here for programs' }),
  ...endpointOptions,
  ...logOptions,
} satisfies OptionTable

export const submitOptions = {
  ...common,
  firstCallMs: duration('--first-call', {
    says: 'Spark must have asked for something within this time, or you are told that no function was started',
    min: 1_000,
    max: 900_000,
    default: 60_000,
  }),
} satisfies OptionTable

/** `sparkArguments`: what came behind `--`, for spark-submit. At least one. */
export type SubmitOptions = OptionsOf<typeof submitOptions> & { readonly sparkArguments: readonly string[] }

export const agentOptions = {
  ...common,
  printEnv: toggle('--print-env', {
    says: 'prints `export` lines for a shell when ready, and stays in the background until that shell ends',
  }),
  stop: toggle('--stop', { says: 'ends the agents that run in the background, and their functions' }),
  owner: text('--owner', {
    says: 'processes (pid:start time) of which the nearest that lives on is the one to end with',
    value: 'list',
    allowed: 'pid:start,pid:start',
    pattern: /^\d+:\d+(,\d+:\d+)*$/,
    hidden: true,
  }),
} satisfies OptionTable

export type AgentOptions = OptionsOf<typeof agentOptions>
