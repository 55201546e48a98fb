/** How submit and agent speak to the user: lines on stderr that say whose they are. */

/** Writes `text` to stderr, each of its lines beginning `spark-lambda-relay: `. */
export function writeLine(text: string): void {
  const lines = text.trimEnd().split('\n')
  process.stderr.write(lines.map((line) => `spark-lambda-relay: ${line}\n`).join(''))
}
