/** How a result was made, in sentences, for the terminal, Markdown and HTML alike. Pure. */
import { countOf } from '../bench.ts'
import { NOISE } from '../measure/sample.ts'
import type { BenchResult } from '../result.ts'

export function notesOf(result: BenchResult): readonly string[] {
  const { commit, runs } = result
  const disturbed = result.rows
    .filter((row) => row.repeated > 0 || row.noisy > 0)
    .map((row) => `${row.name} ${row.repeated} made again, ${row.noisy} kept`)
  return [
    `${countOf(runs, 'run')}${result.window === undefined ? '' : ` of ${result.window}`}, ${result.at.slice(0, 16)}Z, commit ${commitOf(commit)}; ${versionsOf(result)}.`,
    knowsNoise(result)
      ? `Disturbed by others (more than ${result.noiseCores} cores): ${disturbed.join('; ') || 'none'}.`
      : 'What others did meanwhile is not known of every run.',
  ]
}

/** Results of before had benches that did not know. */
function knowsNoise({ rows }: BenchResult): boolean {
  return rows.every(({ samples }) => samples.every((sample) => sample[NOISE] !== undefined))
}

export function commitOf({ hash, isDirty }: BenchResult['commit']): string {
  return isDirty ? `${hash} with changes` : hash
}

function versionsOf(result: BenchResult): string {
  return Object.entries(result.versions)
    .map(([name, version]) => (version.toLowerCase().startsWith(name) ? version : `${name} ${version}`))
    .join(', ')
}
