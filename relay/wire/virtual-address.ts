/**
 * The addresses by which Spark's processes know each other: 127.64.0.0/10, so that every
 * connection to one stays on the machine that dials. Pure; anyone may use it.
 */

/** `text` if it is an address from 127.64.0.1 to 127.127.255.254 in its one canonical form, else undefined. */
export function parseVirtualAddress(text: string): string | undefined {
  const match = /^127\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (match === null) return undefined
  const parts = match.slice(1)
  if (parts.some((part) => String(Number(part)) !== part)) return undefined // 127.064.0.1 is octal to some
  const [second, third, fourth] = parts.map(Number) as [number, number, number]
  if (second < 64 || second > 127 || third > 255 || fourth > 255) return undefined
  const isNetwork = second === 64 && third === 0 && fourth === 0
  const isBroadcast = second === 127 && third === 255 && fourth === 255
  return isNetwork || isBroadcast ? undefined : text
}
