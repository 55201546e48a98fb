/** Bytes in, lines out, whatever the chunks. Holds at most one line of bounded length. Used by jvm-log.ts and local/. */
import { StringDecoder } from 'node:string_decoder'

/** A line without an end must not fill the memory: it is handed out in parts of this many characters. */
const MAX_CHARS = 64 * 1024

export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8') // a character may be cut by a chunk's end
  readonly #handle: (line: string) => void
  #rest = ''

  constructor(handle: (line: string) => void) {
    this.#handle = handle
  }

  push(chunk: Uint8Array): void {
    this.#split(this.#decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)))
  }

  /** Hands out the last line if it has no line feed. */
  end(): void {
    this.#split(this.#decoder.end())
    if (this.#rest !== '') this.#handle(this.#rest)
    this.#rest = ''
  }

  #split(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#handle(line.endsWith('\r') ? line.slice(0, -1) : line)
    while (this.#rest.length > MAX_CHARS) {
      this.#handle(this.#rest.slice(0, MAX_CHARS))
      this.#rest = this.#rest.slice(MAX_CHARS)
    }
  }
}
