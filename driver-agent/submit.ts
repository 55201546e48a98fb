/**
 * The command `submit`: an agent, and spark-submit over it. Ends with Spark's exit code, or
 * with ours when it was our doing. Called by cli/main.ts.
 */
import type { Run } from '../cli/context.ts'
import type { SubmitOptions } from '../cli/options/index.ts'
import { AgentError } from './errors.ts'
import { Ledger } from './ledger.ts'
import { startLiveLine } from './live-line.ts'
import { prepare } from './prepare.ts'
import { type Session, startSession } from './session.ts'
import { DRIVER_ADDRESS } from './session-parts.ts'
import { SettingsError } from './settings/index.ts'
import { type SparkChild, startSpark } from './spark-child.ts'
import { type Ending, emptySummary, matrixLines, summaryLines } from './summary.ts'
import { writeLine } from './write-line.ts'
import { writeSummary } from './write-summary.ts'

/** How long Spark may take to end when asked to. */
const DRAIN_MS = 30_000
const END_MS = 8_000
/** A larger matrix, or one of next to nothing, is in the JSON only. */
const SHOWN_MEMBERS = 11
const SHOWN_BYTES = 1024 * 1024

export const runSubmit: Run<SubmitOptions> = async (options, context) => {
  let session: Session
  try {
    session = await startSession({
      ...(await prepare(options, context, options.sparkArguments)),
      options,
      sparkArguments: options.sparkArguments,
      context,
      writeLine,
    })
  } catch (error) {
    return await failBeforeStart(error, options)
  }
  const spark = startSpark({
    sparkHome: session.sparkHome,
    args: session.settings.args,
    environment: session.environment,
    run: session.run,
  })
  const live = startLiveLine(session.ledger, process.stderr, () => session.now())
  const ending = await waitForEnd(session, spark, options)
  live.stop()
  const summary = await session.close(noFunctionSeen(session, ending))
  for (const line of summaryLines(summary)) writeLine(line)
  const { matrix } = summary
  if (matrix !== undefined && summary.relayedBytes >= SHOWN_BYTES && matrix.names.length <= SHOWN_MEMBERS) {
    for (const line of matrixLines(matrix)) writeLine(line)
  }
  await writeSummary(summary, options.summaryJson)
  return summary.exitCode
}

/** Until Spark ends, we cannot go on, time is over, or a signal comes. Spark is gone when it settles. */
async function waitForEnd(session: Session, spark: SparkChild, options: SubmitOptions): Promise<Ending> {
  const stopWatching = watchFirstCall(session, options.firstCallMs)
  const signals = new SignalWatch(spark)
  const over = [
    spark.ended.then(
      (exitCode): Ending => ({ endedBy: 'spark', exitCode }),
      (error: AgentError): Ending => ({ endedBy: 'agent', exitCode: error.exitCode, reason: error.message }),
    ),
    session.failed.then(
      (error): Ending => ({ endedBy: 'agent', exitCode: error.exitCode, reason: error.message }),
    ),
    wallOver(options.maxWallMs),
    signals.impatient.then((exitCode): Ending => ({ endedBy: 'agent', exitCode, reason: 'ended by signal' })),
  ]
  const ending = await Promise.race(over)
  stopWatching()
  await spark.end(ending.endedBy === 'agent' && !signals.isImpatient ? END_MS : 0)
  signals.stop()
  return ending
}

/** Signals on their way to Spark: the first asks it to end, a second one does not wait. */
class SignalWatch {
  /** Settles at the second signal, or when Spark did not end in time after the first. */
  readonly impatient: Promise<number>
  readonly #spark: SparkChild
  readonly #handlers = new Map<NodeJS.Signals, () => void>()
  #endNow: (exitCode: number) => void = () => {}
  #patience: NodeJS.Timeout | undefined
  #isImpatient = false

  constructor(spark: SparkChild) {
    this.#spark = spark
    this.impatient = new Promise((resolve) => {
      this.#endNow = (exitCode) => {
        this.#isImpatient = true
        resolve(exitCode)
      }
    })
    for (const [name, number] of [
      ['SIGINT', 2],
      ['SIGTERM', 15],
      ['SIGHUP', 1],
    ] as const) {
      const handler = (): void => this.#came(name, 128 + number)
      this.#handlers.set(name, handler)
      process.on(name, handler)
    }
  }

  get isImpatient(): boolean {
    return this.#isImpatient
  }

  stop(): void {
    clearTimeout(this.#patience)
    for (const [name, handler] of this.#handlers) process.off(name, handler)
  }

  #came(name: NodeJS.Signals, exitCode: number): void {
    if (this.#patience !== undefined) {
      this.#endNow(exitCode)
      return
    }
    writeLine(`${name}: asking Spark to end; once more ends everything at once`)
    // Ctrl-C on a terminal reaches Spark by itself, being in the same group.
    const isFromTerminal = name === 'SIGINT' && (process.stdin.isTTY || process.stderr.isTTY)
    if (!isFromTerminal) this.#spark.signal(name)
    this.#patience = setTimeout(() => this.#endNow(exitCode), DRAIN_MS)
  }
}

function wallOver(maxWallMs: number | undefined): Promise<Ending> {
  return new Promise((resolve) => {
    if (maxWallMs === undefined) return
    setTimeout(() => {
      const reason = `the job took longer than --max-wall ${maxWallMs / 1000}s and was ended`
      resolve({ endedBy: 'agent', exitCode: 1, reason })
    }, maxWallMs).unref()
  })
}

const OWN_MASTER =
  'no function was started: Spark has not asked for executors; does the program set its own master, such as .master("local[*]")? Leave it out'

/** Tells once when Spark has asked for nothing after `firstCallMs`. */
function watchFirstCall(session: Session, firstCallMs: number): () => void {
  const timer = setTimeout(() => {
    if (!session.hasBeenCalled()) writeLine(`${firstCallMs / 1000} s have passed and ${OWN_MASTER}`)
  }, firstCallMs)
  timer.unref()
  return () => clearTimeout(timer)
}

function noFunctionSeen(session: Session, ending: Ending): Ending {
  const isSilent = ending.reason === undefined && ending.exitCode === 0 && !session.hasBeenCalled()
  return isSilent ? { ...ending, reason: OWN_MASTER } : ending
}

/** What went wrong before there was a session, told and written down. Answers the exit code. */
async function failBeforeStart(reason: unknown, options: SubmitOptions): Promise<number> {
  const isUsage = reason instanceof SettingsError || (reason as { exitCode?: unknown }).exitCode === 2
  const error = AgentError.from(reason, isUsage ? 'usage' : 'setup')
  writeLine(error.message)
  const ending: Ending = {
    endedBy: error.exitCode === 2 ? 'usage' : 'agent',
    exitCode: error.exitCode,
    reason: error.message,
  }
  await writeSummary(emptySummary(new Ledger(DRIVER_ADDRESS, performance.now()), ending), options.summaryJson)
  return error.exitCode
}
