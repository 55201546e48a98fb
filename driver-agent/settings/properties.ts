/**
 * Properties files as Java reads and writes them (java.util.Properties, UTF-8, which is how
 * Spark opens spark-defaults.conf). Pure. Used by apply.ts and by agent's --print-env.
 */

/** Later lines win, as in Java. Values are trimmed as Spark does, but for line ends that were escaped. */
export function parseProperties(text: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const line of logicalLines(text)) {
    const [key, value] = splitLine(line)
    found.set(readEscapes(key), readEscapes(value).replace(/^[^\S\r\n]+|[^\S\r\n]+$/g, ''))
  }
  return found
}

export function formatProperties(properties: ReadonlyMap<string, string>): string {
  let text = ''
  for (const [key, value] of properties) text += `${escapeKey(key)}=${escapeValue(value)}\n`
  return text
}

/** Joins what an odd number of backslashes continues; leaves out blank lines and comments. */
function logicalLines(text: string): string[] {
  const lines: string[] = []
  let open: string | undefined
  for (const raw of text.split(/\r\n|\r|\n/)) {
    const line: string = raw.replace(/^[ \t\f]+/, '')
    if (open === undefined && (line === '' || line.startsWith('#') || line.startsWith('!'))) continue
    const whole: string = (open ?? '') + line
    const backslashes = /\\*$/.exec(line)?.[0].length ?? 0
    if (backslashes % 2 === 1) open = whole.slice(0, -1)
    else {
      lines.push(whole)
      open = undefined
    }
  }
  if (open !== undefined) lines.push(open)
  return lines
}

/** At the first `=`, `:` or blank that is not escaped; blanks around the separator are no part of either. */
function splitLine(line: string): [string, string] {
  const found = /^((?:\\.|[^\\=: \t\f])*)(?:[ \t\f]*[=:][ \t\f]*|[ \t\f]+|$)(.*)$/s.exec(line)
  return [found?.[1] ?? line, found?.[2] ?? '']
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', f: '\f' }

function readEscapes(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_, code: string | undefined, character: string) =>
    code === undefined ? (escapes[character] ?? character) : String.fromCharCode(Number.parseInt(code, 16)),
  )
}

function escapeValue(value: string): string {
  return value
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replaceAll('\f', '\\f')
    .replace(/^ /, '\\ ')
}

function escapeKey(key: string): string {
  return escapeValue(key).replace(/[ =:#!]/g, '\\$&')
}
