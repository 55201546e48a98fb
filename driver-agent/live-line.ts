/**
 * One line on the terminal while a job runs: functions, bytes, cost so far. Other output
 * goes above it. Used by submit.ts; silent when stderr is no terminal.
 */
import { clearLine, cursorTo } from 'node:readline'
import { formatDollars } from './cost.ts'
import type { Ledger } from './ledger.ts'
import { formatMiB } from './summary.ts'

const EACH_MS = 500

export interface LiveLine {
  /** Wipes the line; nothing is drawn after that. */
  stop(): void
}

/** The text of the line. */
export function liveText(ledger: Ledger, nowMs: number): string {
  const minutes = Math.floor((nowMs - ledger.startedMs) / 60_000)
  const seconds = Math.floor(((nowMs - ledger.startedMs) / 1000) % 60)
  const parts = [`${ledger.count('starting')} starting`, `${ledger.count('running')} running`]
  if (ledger.count('draining') > 0) parts.push(`${ledger.count('draining')} draining`)
  return [
    `${minutes}:${String(seconds).padStart(2, '0')}`,
    `functions ${parts.join(' ')}`,
    `${formatMiB(ledger.relayed().all)} MiB relayed`,
    `${formatDollars(ledger.bill(nowMs).dollars)} at Lambda's list price`,
  ].join(' · ')
}

/**
 * Redraws each 500 ms on `terminal`. Spark writes to the same terminal by itself: what it
 * writes lands on our line, which the next redraw puts right.
 */
export function startLiveLine(ledger: Ledger, terminal: NodeJS.WriteStream, now: () => number): LiveLine {
  if (!terminal.isTTY) return { stop: () => {} }
  const draw = (): void => {
    cursorTo(terminal, 0)
    terminal.write(liveText(ledger, now()).slice(0, (terminal.columns || 80) - 1))
    clearLine(terminal, 1)
    cursorTo(terminal, 0)
  }
  const timer = setInterval(draw, EACH_MS)
  timer.unref()
  return {
    stop() {
      clearInterval(timer)
      cursorTo(terminal, 0)
      clearLine(terminal, 0)
    },
  }
}
