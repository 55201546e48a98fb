/**
 * What Spark is told when a pod ends: SPARK.md, "Life and death of a pod", as one pure function.
 * `gone`: tasks run again, uncharged. `failed`: counted by Spark, and charged to the application.
 * Succeeded is never said: Spark charges the application for it. Used by table.ts.
 */
import type { ShimMessage } from '../../executor-shim/control.ts'
import type { FunctionEnd } from '../provider.ts'
import type { PodOutcome } from './types.ts'

/** How far the pod had come. `asked`, `shim`, `jvm`: on the way to its first RPC stream. */
export type Stage = 'pending' | 'asked' | 'shim' | 'jvm' | 'running' | 'draining' | 'stopping'

export type Cause =
  /** The shim's last word on its JVM. */
  | { readonly is: 'jvm-exited'; readonly word: ExitWord }
  /** The function is over, and its shim said nothing of its JVM. */
  | { readonly is: 'function-ended'; readonly end: FunctionEnd }
  /** `lastLines`: of its JVM, if it had one and that one still said them. */
  | { readonly is: 'deadline'; readonly deadlineMs: number; readonly lastLines?: readonly string[] }
  | { readonly is: 'other-version'; readonly has: string; readonly wants: string }
  | { readonly is: 'unfit'; readonly why: string }
  /** Deleted before it had a function. */
  | { readonly is: 'deleted' }

export type ExitWord = Extract<ShimMessage, { is: 'exited' }>

export interface Verdict {
  readonly outcome: PodOutcome
  /** A word for `status.reason`. */
  readonly reason: string
  /** The sentence, and under it the JVM's last lines. */
  readonly message: string
  readonly exitCode: number
  readonly signal?: number
}

/** Kubernetes keeps as much of a container's last words. */
const MESSAGE_CHARACTERS = 4096

const signals: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGTERM: 15,
}

/**
 * Exit codes of a running JVM that do not tell of the application: 0 (Spark asked by RPC, where we
 * do not hear it), SIGTERM and SIGKILL as codes, and 56, Spark's "could not reach the driver".
 */
const blameless = new Set([0, 56, 128 + 9, 128 + 15])

export function judge(stage: Stage, cause: Cause): Verdict {
  const told = tell(cause, stage)
  if (stage === 'stopping' || cause.is === 'deleted') return { ...told, outcome: 'gone' }
  if (stage !== 'running' && stage !== 'draining') return { ...told, outcome: 'failed' }
  return { ...told, outcome: isBlamed(stage, cause) ? 'failed' : 'gone' }
}

/** Of an executor that ran: whether its end is the application's doing. */
function isBlamed(stage: 'running' | 'draining', cause: Cause): boolean {
  switch (cause.is) {
    case 'jvm-exited':
      // A draining executor goes because we asked: how it goes is not the application's fault.
      return stage === 'running' && cause.word.code !== null && !blameless.has(cause.word.code)
    case 'function-ended':
      // Else a task that needs more memory than there is would be run, and paid, for ever.
      return cause.end.why === 'memory'
    case 'unfit':
    case 'other-version':
      return true
    default:
      return false
  }
}

type Told = Omit<Verdict, 'outcome'>

function tell(cause: Cause, stage: Stage): Told {
  switch (cause.is) {
    case 'jvm-exited':
      return tellOfJvm(cause.word, stage)
    case 'function-ended':
      return tellOfFunction(cause.end)
    case 'deadline':
      return {
        reason: 'StartDeadline',
        message: withLastLines(
          `its executor did not reach the driver within ${cause.deadlineMs / 1000} s (${lateness[stage] ?? stage})`,
          cause.lastLines ?? [],
        ),
        exitCode: 1,
      }
    case 'other-version':
      return {
        reason: 'OtherSparkVersion',
        message: `the function has Spark ${cause.has}, the driver is Spark ${cause.wants}: give both the same version`,
        exitCode: 1,
      }
    case 'unfit':
      return { reason: 'UnsupportedPod', message: `this pod cannot be a function: ${cause.why}`, exitCode: 1 }
    case 'deleted':
      return { reason: 'Deleted', message: 'Spark deleted the pod before it had a function', exitCode: 0 }
  }
}

const lateness: Readonly<Partial<Record<Stage, string>>> = {
  asked: 'its function never reached the relay',
  shim: 'its function is there, its JVM was not started',
  jvm: 'its JVM runs and has not dialled the driver',
}

function tellOfJvm({ code, signal, lastLines }: ExitWord, stage: Stage): Told {
  const how = code === null ? `was killed by ${signal ?? 'a signal'}` : `exited with code ${code}`
  const when = stage === 'asked' || stage === 'shim' || stage === 'jvm' ? ' before it reached the driver' : ''
  const signalNumber = signals[signal ?? '']
  return {
    reason: code === 0 ? 'Completed' : code === null ? 'Killed' : 'Error',
    message: withLastLines(`the executor's JVM ${how}${when}`, lastLines),
    exitCode: code ?? 128 + (signalNumber ?? 0),
    ...(signalNumber === undefined ? {} : { signal: signalNumber }),
  }
}

function tellOfFunction(end: FunctionEnd): Told {
  switch (end.why) {
    case 'exited':
      return {
        reason: 'Error',
        message: `the function ended with code ${end.code} and gave no reason`,
        exitCode: end.code,
      }
    case 'not-started':
      return {
        reason: 'NotStarted',
        message: `the function could not be started: ${end.detail}`,
        exitCode: 1,
      }
    case 'memory':
      return {
        reason: 'OOMKilled',
        message: `the function went over its memory: ${end.detail}`,
        exitCode: 137,
        signal: 9,
      }
    case 'timed-out':
      return {
        reason: 'TimedOut',
        message: `the function's lifetime was over: ${end.detail}`,
        exitCode: 137,
        signal: 9,
      }
    case 'stopped':
      return {
        reason: 'Stopped',
        message: `the function was stopped: ${end.detail}`,
        exitCode: 137,
        signal: 9,
      }
    case 'crashed':
      return { reason: 'Crashed', message: `the function crashed: ${end.detail}`, exitCode: 137, signal: 9 }
  }
}

/** The newest lines survive when there are too many. */
function withLastLines(sentence: string, lines: readonly string[]): string {
  const room = MESSAGE_CHARACTERS - sentence.length - 20
  let kept = ''
  for (const line of lines.toReversed()) {
    const longer = `\n${line.slice(0, 500)}${kept}`
    if (longer.length > room) break
    kept = longer
  }
  return kept === '' ? sentence : `${sentence}; its last lines:${kept}`
}
