/** Why a contestant died, in one line. Pure. Used by turns.ts. */
import { stripVTControlCharacters } from 'node:util'

const LIMIT = 200
const tellsSomething = /error|fail|refus|denied|cannot|unable|in use|not found|no such|invalid|panic|killed/i

/** The first line of a message, and of what the programs said the first that tells something. */
export function causeOf(message: string): string {
  const [head = '', ...said] = stripVTControlCharacters(message)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  const cause = said.find((line) => tellsSomething.test(line)) ?? said[0]
  const whole = cause === undefined ? head : `${head}: ${cause}`
  return whole.length > LIMIT ? `${whole.slice(0, LIMIT - 1)}…` : whole
}
