/** The program's entry. Nobody imports it; it is started, by bin/ and by selfCommand. */
import { runProgram } from './program.ts'

const exitCode = await runProgram({
  argv: process.argv.slice(2),
  environment: process.env,
  writeOut: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
})
process.exit(exitCode)
