/** A reporter for vitest that writes what came of each test to the file SLR_TEST_RESULTS, and prints nothing. */
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { Reporter, SerializedError, TestModule } from 'vitest/node'
import type { TestResults } from './run-vitest.ts'

export default class ResultsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const results: TestResults = {
      files: modules.map((module) => ({
        name: module.moduleId,
        isLoaded: module.errors().length === 0,
        durationMs: module.diagnostic().duration,
        tests: [...module.children.allTests()].map((test) => ({
          fullName: test.fullName,
          status: test.result().state,
        })),
      })),
      failures: [
        ...modules.flatMap(failuresOf),
        ...unhandled.map((error) => describeFailure('outside of any test', [error])),
      ],
    }
    writeFileSync(process.env.SLR_TEST_RESULTS ?? '/dev/null', JSON.stringify(results))
  }
}

function failuresOf(module: TestModule): string[] {
  const file = relative('', module.moduleId)
  const tests = [...module.children.allTests('failed')].map((test) =>
    describeFailure(`${file}: ${test.fullName}`, test.result().errors ?? []),
  )
  return module.errors().length === 0 ? tests : [describeFailure(file, module.errors()), ...tests]
}

function describeFailure(what: string, errors: readonly SerializedError[]): string {
  const ours = (line: string): boolean => !line.includes('/node_modules/')
  return [what, ...errors.flatMap(({ stack, message }) => (stack ?? message).split('\n').filter(ours))].join(
    '\n',
  )
}
