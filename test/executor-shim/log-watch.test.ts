import { describe, expect, it } from 'vitest'
import { LogWatch, lineKind } from '../../executor-shim/log-watch.ts'

const warn = '26/11/23 02:50:01 WARN BlockManager: Block rdd_1_0 could not be removed'
const info = '26/11/23 02:50:01 INFO Executor: Running task 0.0 in stage 0.0 (TID 0)'

function picked(lines: readonly string[]): readonly string[] {
  const watch = new LogWatch()
  for (const line of lines) watch.line(line, 'err', 0)
  return watch.take().lines
}

describe('the watch over an executor log', () => {
  it('picks WARN, ERROR and FATAL, and leaves the rest', () => {
    const error = '26/11/23 02:50:01 ERROR Executor: Exception in task 0.0'
    expect(picked([info, warn, 'a task printed this', error])).toEqual([warn, error])
  })

  it('picks a stack trace with its heading, and nothing behind it', () => {
    const trace = [
      'java.io.IOException: No such file: /x',
      '\tat java.base/java.io.File.open(File.java:1)',
      'Caused by: java.lang.RuntimeException: inner',
      '\t... 12 more',
    ]
    expect(picked([warn, ...trace, info, '\tat not.ours(X.java:1)', 'java.lang.Exception: alone'])).toEqual([
      warn,
      ...trace,
    ])
  })

  it('ends an endless trace', () => {
    const endless = Array.from({ length: 1000 }, (_, index) => `\tat recursion(${index})`)
    expect(picked([warn, ...endless])).toHaveLength(61)
  })

  it('does not take one output for the end of a trace in the other', () => {
    const watch = new LogWatch()
    watch.line(warn, 'err', 0)
    watch.line('a task printed this', 'out', 0)
    watch.line('\tat x.y(Z.java:1)', 'err', 0)
    expect(watch.take().lines).toEqual([warn, '\tat x.y(Z.java:1)'])
  })

  it.each([
    ['{"ts":"2026-11-23T02:50:01Z","level":"ERROR","msg":"lost"}', 'loud'],
    ['{"ts":"2026-11-23T02:50:01Z","level":"INFO","msg":"ERROR is only spoken of"}', 'quiet'],
    ['Exception in thread "main" java.lang.NoClassDefFoundError: x', 'loud'],
    ['Error: Could not find or load main class org.apache.spark.X', 'loud'],
    ['OpenJDK 64-Bit Server VM warning: INFO: os::commit_memory failed', 'loud'],
    ['# There is insufficient memory for the Java Runtime Environment to continue.', 'loud'],
    ['[main] WARN org.x - custom layout', 'loud'],
    ['WARNING: Using incubator modules: jdk.incubator.vector', 'quiet'],
    ['WARNING: A restricted method has been called', 'loud'],
    ['TERROR is no level', 'plain'],
  ])('calls %j %s', (line, kind) => {
    expect(lineKind(line)).toBe(kind)
  })

  it('sends 200 lines in 10 s, counts what it held back, and goes on in the next period', () => {
    const watch = new LogWatch()
    for (let index = 0; index < 250; index++) watch.line(`${warn} ${index}`, 'err', 1000)
    const first = watch.take()
    expect(first.lines).toHaveLength(200)
    expect(first.dropped).toBe(50)
    watch.line(warn, 'err', 10_999)
    expect(watch.take()).toEqual({ lines: [], dropped: 1 })
    watch.line(warn, 'err', 11_000)
    expect(watch.take()).toEqual({ lines: [warn], dropped: 0 })
  })

  it('keeps the last 50 lines of any kind, cut to a bearable length', () => {
    const watch = new LogWatch()
    for (let index = 0; index < 60; index++) watch.line(`line ${index}`, 'out', 0)
    watch.line('x'.repeat(10_000), 'out', 0)
    expect(watch.lastLines()).toHaveLength(50)
    expect(watch.lastLines()[0]).toBe('line 11')
    expect(watch.lastLines().at(-1)?.length).toBeLessThan(2100)
  })

  it('notices a full disk, wherever in the log it is told', () => {
    const watch = new LogWatch()
    watch.line(info, 'err', 0)
    expect(watch.diskFull).toBe(false)
    watch.line('java.io.IOException: No space left on device', 'err', 0)
    expect(watch.diskFull).toBe(true)
  })
})
