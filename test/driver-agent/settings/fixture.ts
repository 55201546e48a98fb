/** What settings are made of in these tests, and folders with files of a user. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import {
  type AppliedSettings,
  applySettings,
  type SettingsInput,
} from '../../../driver-agent/settings/index.ts'
import { parseProperties } from '../../../driver-agent/settings/properties.ts'

export const input: SettingsInput = {
  args: [],
  env: {},
  sparkHome: '/nowhere/spark',
  sparkVersion: '4.3.0',
  facadeUrl: 'http://127.0.0.1:40001',
  tokenFile: '/run/agent/facade-token',
  propertiesFile: '/run/agent/conf/spark-defaults.conf',
  namespace: 'spark-lambda-relay',
  driverAddress: '127.64.0.1',
  bindAddress: '[::1]',
  ports: { driverRpc: 40_002, driverBlocks: 40_003, executorBlocks: 40_004 },
  uiPort: 40_005,
  maxExecutors: 10,
  functionDiskBytes: 10_000_000_000,
  egress: 'none',
  executorLogUrl: 'http://127.0.0.1:40006/{{APP_ID}}/{{EXECUTOR_ID}}',
}

export function apply(change: Partial<SettingsInput> = {}): AppliedSettings {
  return applySettings({ ...input, ...change })
}

/** With settings given as --conf. */
export function applyConf(
  conf: Record<string, string>,
  change: Partial<SettingsInput> = {},
): AppliedSettings {
  const args = Object.entries(conf).flatMap(([key, value]) => ['--conf', `${key}=${value}`])
  return apply({ ...change, args: [...args, ...(change.args ?? [])] })
}

/** What Spark will read out of the properties file. */
export function written(applied: AppliedSettings): Record<string, string> {
  return Object.fromEntries(parseProperties(applied.properties))
}

/** A folder with these files, removed after the test. */
export function folderWith(files: Record<string, string | Buffer>): string {
  const folder = mkdtempSync(join(tmpdir(), 'slr-settings-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}
