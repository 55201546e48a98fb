/** Label and field selectors. */
import { describe, expect, it } from 'vitest'
import { PodsError, parseSelector, selects } from '../../../driver-agent/pods/index.ts'
import { createPodsWorld } from '../../helper/pods.ts'

const pod = createPodsWorld().post(7)

describe('a label selector', () => {
  const rows: [string, boolean][] = [
    ['', true],
    ['spark-role=executor', true],
    ['spark-role==executor', true],
    ['spark-role = executor', true],
    ['spark-role=driver', false],
    ['spark-role!=driver', true],
    ['spark-role!=executor', false],
    ['spark-exec-inactive!=true', true], // a pod without the label meets !=
    ['spark-exec-id in (6,7)', true],
    ['spark-exec-id in (6, 7 ,8)', true],
    ['spark-exec-id in(7)', true],
    ['spark-exec-id in (8,9)', false],
    ['spark-exec-id notin (8,9)', true],
    ['spark-exec-id notin (7)', false],
    ['other notin (7)', true],
    ['spark-role', true],
    ['other', false],
    ['!other', true],
    ['!spark-role', false],
    ['spark-app-selector=spark-abc,spark-role=executor,spark-exec-inactive!=true', true],
    ['spark-app-selector=spark-abc,spark-role=driver', false],
    ['spark-role in (executor),spark-exec-id in (1,7)', true],
    ['constructor', false], // not a label of its own
    ['spark-role=', false],
  ]
  it.each(rows)('%s → %s', (text, expected) => {
    expect(selects(parseSelector(text, undefined), pod)).toBe(expected)
  })

  it.each(['a=b=c', 'a in b', 'a in (b', ',', 'a=b,', '=b', 'a in (b(c))', 'a b'])('refuses %s', (text) => {
    expect(() => parseSelector(text, undefined)).toThrow(PodsError)
  })
})

describe('a field selector', () => {
  const rows: [string, boolean][] = [
    ['status.phase=Pending', true],
    ['status.phase=Running', false],
    ['status.phase!=Running', true],
    ['metadata.name=job-1-exec-7', true],
    ['metadata.name==job-1-exec-8', false],
    ['metadata.namespace=spark,status.phase=Pending', true],
    ['spec.nodeName=', true],
  ]
  it.each(rows)('%s → %s', (text, expected) => {
    expect(selects(parseSelector(undefined, text), pod)).toBe(expected)
  })

  it('on a field that we do not have is refused, not ignored: Spark deletes what is listed', () => {
    expect(() => parseSelector(undefined, 'spec.restartPolicy=Never')).toThrow(
      'field label not supported: spec.restartPolicy',
    )
    expect(() => parseSelector(undefined, 'status.phase')).toThrow(PodsError)
  })
})
