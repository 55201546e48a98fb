/** The summary as a file for programs (`--summary-json`). Used by submit.ts and agent.ts. */
import { writeFile } from 'node:fs/promises'
import type { Summary } from './summary.ts'
import { writeLine } from './write-line.ts'

/** Never rejects: a file that cannot be written is told, and does not change how the job ended. */
export async function writeSummary(summary: Summary, file: string | undefined): Promise<void> {
  if (file === undefined) return
  await writeFile(file, `${JSON.stringify(summary, null, 2)}\n`).catch((error: Error) => {
    writeLine(`the summary could not be written (--summary-json): ${error.message}`)
  })
}
