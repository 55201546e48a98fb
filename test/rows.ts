/**
 * What the project promises to show, row by row, and the tests that show it. `npm run
 * test:full` runs them and writes docs/test-report.md; a row whose tests did not run says so.
 */

/** Versions of Spark that tests run on, fetched by scripts/prepare.ts. */
export const testedSparks = ['3.5.7', '4.3.0'] as const

/** Tests of one file; of all its tests, or of those whose full name matches. */
export interface RowTests {
  readonly file: string
  readonly name?: RegExp
}

export interface Row {
  readonly area: string
  readonly what: string
  /** A row without tests is NOT RUN, for the reason in `because`. */
  readonly tests: readonly RowTests[]
  readonly because?: string
  /** More of the same than `npm test` does: rows with variables run apart from the others. */
  readonly environment?: Readonly<Record<string, string>>
}

export const rows: readonly Row[] = []
