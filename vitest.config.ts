/**
 * Which tests run together. A file's ending tells its project: `.slow.test.ts` starts
 * processes and takes seconds, `.sim.test.ts` runs many random schedules, `.spark.test.ts`
 * needs Spark and Java, `.spark-full.test.ts` as well but belongs to test:full only; all
 * others are fast. Slow and Spark files below test/faults/ load the machine or measure how long
 * streams stall, so each of them runs alone. Groups run one after the other, cheap ones first.
 */
import { defineConfig } from 'vitest/config'

const all = 'test/**/*.test.ts'
const slow = 'test/**/*.slow.test.ts'
const faults = 'test/faults/**/*.{slow,spark}.test.ts'
const sim = 'test/**/*.sim.test.ts'
const spark = 'test/**/*.spark.test.ts'
const sparkFull = 'test/**/*.spark-full.test.ts'
const minute = 60_000

export default defineConfig({
  test: {
    // What comes a second late on a machine that others share is not missing: vitest's own second is for a quiet one.
    expect: { poll: { timeout: 10_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: [all],
          exclude: [slow, sim, spark, sparkFull],
          testTimeout: minute / 2,
          hookTimeout: minute / 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'sim',
          include: [sim],
          maxWorkers: 2, // two files that take as long, each busy all the time
          testTimeout: 20 * minute,
          hookTimeout: minute,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'slow',
          include: [slow],
          exclude: [faults],
          testTimeout: 5 * minute,
          hookTimeout: 2 * minute,
          maxWorkers: 2, // they mostly wait
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'spark',
          include: [spark],
          exclude: [faults],
          testTimeout: 10 * minute,
          hookTimeout: 10 * minute,
          maxWorkers: 2, // one has the CPU, the other waits for functions to come and go
          sequence: { groupOrder: 3 },
        },
      },
      {
        extends: true,
        test: {
          name: 'faults',
          include: [faults],
          testTimeout: 10 * minute,
          hookTimeout: 10 * minute,
          fileParallelism: false,
          maxWorkers: 1,
          sequence: { groupOrder: 4 },
        },
      },
      {
        extends: true,
        test: {
          name: 'spark-full',
          include: [sparkFull],
          testTimeout: 10 * minute,
          hookTimeout: 10 * minute,
          fileParallelism: false,
          maxWorkers: 1,
          sequence: { groupOrder: 5 },
        },
      },
    ],
  },
})
