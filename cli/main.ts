/** The program's entry. Nobody imports it; it is started, by bin/ and by selfCommand. */
import { runProgram } from './program.ts'

// Whoever read what we say may be gone (a closed pipe, a terminal that hung up): what we do goes on, and ends in order.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
  })
}
const exitCode = await runProgram({
  argv: process.argv.slice(2),
  environment: process.env,
  writeOut: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
})
process.exit(exitCode)
