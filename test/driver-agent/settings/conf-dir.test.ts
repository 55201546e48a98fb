/** What of a SPARK_CONF_DIR goes to executors. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CONF_DIR_LIMIT_BYTES, readConfDir } from '../../../driver-agent/settings/index.ts'
import { folderWith } from './fixture.ts'

describe('a SPARK_CONF_DIR', () => {
  it('is sent with all that executors can use', () => {
    const folder = folderWith({
      'log4j2.properties': 'rootLogger.level = warn',
      'core-site.xml': '<configuration/>',
      'binary.keystore': Buffer.from([0, 255, 1]),
      'log4j2.properties.template': 'template',
      'spark-defaults.conf': 'spark.secret 1',
      'spark-env.sh': 'export A=1',
      '.hidden': 'x',
      'folder/in.it': 'x',
    })
    const files = readConfDir(folder)
    expect(Object.keys(files).sort()).toEqual(['binary.keystore', 'core-site.xml', 'log4j2.properties'])
    expect(Buffer.from(files['binary.keystore'] as string, 'base64')).toEqual(Buffer.from([0, 255, 1]))
    expect(Buffer.from(files['log4j2.properties'] as string, 'base64').toString()).toBe(
      'rootLogger.level = warn',
    )
  })

  it('that is absent sends nothing', () => {
    expect(readConfDir(undefined)).toEqual({})
    expect(readConfDir(join(folderWith({}), 'absent'))).toEqual({})
  })

  it('may have exactly as much as can be sent, and not a byte more', () => {
    const half = Buffer.alloc(CONF_DIR_LIMIT_BYTES / 2)
    expect(Object.keys(readConfDir(folderWith({ a: half, b: half })))).toEqual(['a', 'b'])
    expect(() => readConfDir(folderWith({ a: half, b: half, c: 'x' }))).toThrow(
      expect.objectContaining({
        code: 'conf-dir-too-large',
        message: expect.stringMatching(
          /has 262145 bytes for executors, at most 262144 can be sent: move large files/,
        ),
      }),
    )
  })
})
