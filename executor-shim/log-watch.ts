/**
 * Reads an executor's log line by line: keeps the last lines for the report of its end, picks
 * out what the driver's user should see (WARN and worse with their stack traces), and caps it.
 * No I/O; the caller says what time it is. Used by jvm-log.ts.
 */

export interface LogWatchOptions {
  /** Lines that may be sent in one period. Default 200. */
  readonly linesAPeriod: number
  /** ms. Default 10 s. */
  readonly periodMs: number
  /** Lines kept for the end. Default 50. */
  readonly keptLines: number
  /** A longer line is cut, characters. Default 2,000: one message holds many lines and is at most 1 MiB. */
  readonly lineChars: number
}

const defaults: LogWatchOptions = { linesAPeriod: 200, periodMs: 10_000, keptLines: 50, lineChars: 2000 }

/** Of a trace's lines only so many follow their heading: a deep recursion has a thousand. */
const TRACE_LINES = 60

/** What a chunk of the log gave: lines to send now, and lines held back since the last call. */
export interface Picked {
  readonly lines: readonly string[]
  readonly dropped: number
}

/** One of a process's two outputs; traces are followed in each for itself. */
export type Source = 'out' | 'err'

export class LogWatch {
  readonly #options: LogWatchOptions
  readonly #last: string[] = []
  /** Lines of trace that may still follow the heading that was picked, by source. */
  readonly #trace: Record<Source, number> = { out: 0, err: 0 }
  #periodEndsMs = 0
  #sentInPeriod = 0
  #picked: string[] = []
  #dropped = 0
  #diskFull = false

  constructor(options: Partial<LogWatchOptions> = {}) {
    this.#options = { ...defaults, ...options }
  }

  /** One line without its line feed. */
  line(text: string, source: Source, nowMs: number): void {
    const cut = text.length > this.#options.lineChars ? `${text.slice(0, this.#options.lineChars)} …` : text
    this.#last.push(cut)
    if (this.#last.length > this.#options.keptLines) this.#last.shift()
    if (isDiskFull(text)) this.#diskFull = true
    const kind = lineKind(text)
    if (kind === 'trace' && this.#trace[source] > 0) this.#trace[source] -= 1
    else if (kind === 'loud') this.#trace[source] = TRACE_LINES
    else {
      this.#trace[source] = 0
      return
    }
    this.#send(cut, nowMs)
  }

  /** Takes what there is to send. */
  take(): Picked {
    const taken = { lines: this.#picked, dropped: this.#dropped }
    this.#picked = []
    this.#dropped = 0
    return taken
  }

  /** The end of the log, oldest first. */
  lastLines(): readonly string[] {
    return [...this.#last]
  }

  /** Whether the log told of a full disk so far. */
  get diskFull(): boolean {
    return this.#diskFull
  }

  #send(line: string, nowMs: number): void {
    if (nowMs >= this.#periodEndsMs) {
      this.#periodEndsMs = nowMs + this.#options.periodMs
      this.#sentInPeriod = 0
    }
    if (this.#sentInPeriod >= this.#options.linesAPeriod) {
      this.#dropped += 1
      return
    }
    this.#sentInPeriod += 1
    this.#picked.push(line)
  }
}

/**
 * `loud`: WARN or worse. `quiet`: any other line with a level. `trace`: what may follow a
 * heading. `plain`: everything else, for example what a task prints.
 */
export type LineKind = 'loud' | 'quiet' | 'trace' | 'plain'

// The level stands near the front in every layout that Spark ships, plain or structured.
const FRONT = 160

export function lineKind(line: string): LineKind {
  if (/^(\s|Caused by: |Suppressed: |Traceback |\.\.\. )/.test(line)) return 'trace'
  // Each JVM of Spark 4 says so at its start; it means nothing.
  if (line.startsWith('WARNING: Using incubator modules')) return 'quiet'
  // The JVM's own voice has no level of Spark's: a missing class, no memory, a crash.
  if (
    /^(Exception in thread |Error: |Error occurred during |Unrecognized |# |java\.lang\.\w*Error)/.test(line)
  )
    return 'loud'
  if (/^(OpenJDK|Java HotSpot|Eclipse OpenJ9)\b.* VM warning: /.test(line)) return 'loud'
  const front = line.slice(0, FRONT)
  const level = /(?:^|[\s[|"(])(TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL)(?=[\s\]|":)]|$)/.exec(front)?.[1]
  if (level !== undefined)
    return level === 'TRACE' || level === 'DEBUG' || level === 'INFO' ? 'quiet' : 'loud'
  if (/^([\w$]+\.)*[\w$]*(Exception|Error|Interrupt|Exit)\b/.test(line)) return 'trace'
  return 'plain'
}

function isDiskFull(line: string): boolean {
  return line.includes('No space left on device') || line.includes('ENOSPC')
}
