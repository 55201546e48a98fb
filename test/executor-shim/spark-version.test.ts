import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { sparkVersionAt, versionOfJars, versionOfRelease } from '../../executor-shim/spark-version.ts'

function sparkHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'spark-home-'))
  onTestFinished(() => rmSync(home, { recursive: true }))
  return home
}

it('reads the version out of the core jar of any Scala', () => {
  expect(versionOfJars(['a.jar', 'spark-core_2.12-3.5.7.jar'])).toBe('3.5.7')
  expect(versionOfJars(['spark-core_2.13-4.3.0.jar'])).toBe('4.3.0')
  expect(versionOfJars(['spark-core_2.13-4.3.0-tests.jar', 'spark-core_2.13-4.3.0-SNAPSHOT.jar'])).toBe(
    '4.3.0-SNAPSHOT',
  )
  expect(versionOfJars(['spark-sql_2.13-4.3.0.jar'])).toBeUndefined()
})

it('reads it out of RELEASE where there are no jars', () => {
  expect(versionOfRelease('Spark 3.5.7 (git revision ed00d046951) built for Hadoop 3.3.4')).toBe('3.5.7')
  expect(versionOfRelease('Sparkling')).toBeUndefined()
})

it('believes the jar rather than RELEASE: the jar is what runs', () => {
  const home = sparkHome()
  mkdirSync(join(home, 'jars'))
  writeFileSync(join(home, 'jars', 'spark-core_2.13-4.3.0.jar'), '')
  writeFileSync(join(home, 'RELEASE'), 'Spark 3.5.7 (git revision x)\n')
  expect(sparkVersionAt(home)).toBe('4.3.0')
})

it('names the folder that holds no Spark', () => {
  const home = sparkHome()
  expect(() => sparkVersionAt(home)).toThrowError(`SPARK_HOME=${home} holds no Spark`)
})
