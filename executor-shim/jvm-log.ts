/**
 * Takes an executor's stdout and stderr: whole lines go to its log file, the picked ones to
 * `send`. One for each JVM, made by shim.ts.
 */
import { createWriteStream, type WriteStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { LineSplitter } from './line-splitter.ts'
import { LogWatch, type Source } from './log-watch.ts'

/** Picked lines wait this long for company, so that a trace is one message. */
const GATHER_MS = 100

/** What waits for the disk beyond this stops us reading, and so the JVM writing. */
const FILE_BUFFER_BYTES = 1024 * 1024

/** Of lines in one message: well below what a control message may have. */
const SEND_BYTES = 256 * 1024

export interface JvmLogOptions {
  /** Appended to; made 0600. Undefined: no file. */
  readonly file: string | undefined
  readonly send: (lines: readonly string[], dropped: number) => void
  /** Said once, behind the line that told of it. */
  readonly diskFullHint: () => string
  /** Called once when the log file cannot be written; the JVM goes on without it. */
  readonly onFileError: (error: Error) => void
}

export class JvmLog {
  readonly #options: JvmLogOptions
  readonly #watch = new LogWatch()
  #file: WriteStream | undefined
  #gathering: NodeJS.Timeout | undefined
  #saidDiskFull = false

  constructor(options: JvmLogOptions) {
    this.#options = options
    if (options.file === undefined) return
    this.#file = createWriteStream(options.file, {
      flags: 'a',
      mode: 0o600,
      highWaterMark: FILE_BUFFER_BYTES,
    })
    this.#file.on('error', (error) => {
      this.#file = undefined
      options.onFileError(error)
    })
  }

  /** Reads `output` to its end; settles then. */
  follow(output: Readable, source: Source): Promise<void> {
    const splitter = new LineSplitter((line) => this.#line(line, source))
    output.on('data', (chunk: Buffer) => {
      splitter.push(chunk)
      const file = this.#file
      if (file?.writableNeedDrain === true) {
        output.pause()
        const resume = () => {
          file.off('drain', resume)
          file.off('close', resume)
          output.resume()
        }
        file.once('drain', resume)
        file.once('close', resume) // also after an error
      }
    })
    return new Promise((resolve) => {
      output.once('close', () => {
        splitter.end()
        resolve()
      })
    })
  }

  lastLines(): readonly string[] {
    return this.#watch.lastLines()
  }

  /** Sends what was gathered. */
  flush(): void {
    clearTimeout(this.#gathering)
    this.#gathering = undefined
    const { lines, dropped } = this.#watch.take()
    const hint = this.#watch.diskFull && !this.#saidDiskFull ? [this.#options.diskFullHint()] : []
    if (hint.length > 0) this.#saidDiskFull = true
    if (lines.length > 0 || dropped > 0 || hint.length > 0) this.#send([...lines, ...hint], dropped)
  }

  /** In as many messages as it takes: lines are cut by characters, messages are limited in bytes. */
  #send(lines: readonly string[], dropped: number): void {
    let batch: string[] = []
    let bytes = 0
    for (const line of lines) {
      const length = Buffer.byteLength(line)
      if (bytes + length > SEND_BYTES && batch.length > 0) {
        this.#options.send(batch, 0)
        batch = []
        bytes = 0
      }
      batch.push(line)
      bytes += length
    }
    this.#options.send(batch, dropped)
  }

  /** Sends and writes what is left; settles when the file is closed. */
  async close(): Promise<void> {
    this.flush()
    const file = this.#file
    if (file === undefined) return
    await new Promise<void>((resolve) => {
      file.once('close', resolve)
      file.end()
    })
  }

  #line(line: string, source: Source): void {
    this.#file?.write(`${line}\n`)
    this.#watch.line(line, source, performance.now())
    this.#gathering ??= setTimeout(() => this.flush(), GATHER_MS)
  }
}
