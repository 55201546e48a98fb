/** A reporter for vitest that writes what came of each test to the file SLR_TEST_RESULTS, and prints nothing. */
import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'
import type { TestFiles } from './run-vitest.ts'

export default class ResultsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const files: TestFiles = modules.map((module) => ({
      name: module.moduleId,
      isLoaded: module.errors().length === 0,
      durationMs: module.diagnostic().duration,
      tests: [...module.children.allTests()].map((test) => ({
        fullName: test.fullName,
        status: test.result().state,
      })),
    }))
    writeFileSync(process.env.SLR_TEST_RESULTS ?? '/dev/null', JSON.stringify(files))
  }
}
