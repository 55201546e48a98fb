/** How submit and agent speak to the user: lines on stderr that say whose they are. */

/** Writes `text` to stderr, each of its lines beginning `spark-lambda-relay: `. */
export function writeLine(text: string): void {
  const lines = text.trimEnd().split('\n')
  // On a terminal the live line may stand where this goes: wiped first.
  const wipe = process.stderr.isTTY ? '\r\u001b[2K' : ''
  process.stderr.write(lines.map((line) => `${wipe}spark-lambda-relay: ${line}\n`).join(''))
}
