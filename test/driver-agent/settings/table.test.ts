/** One test for each row of the settings table; a row without an example here fails. */
import { describe, expect, it } from 'vitest'
import type { SettingsErrorCode, SettingsInput } from '../../../driver-agent/settings/index.ts'
import { table } from '../../../driver-agent/settings/table/index.ts'
import { apply, applyConf, written } from './fixture.ts'

/** What each enforced setting comes to, and what a user may have said instead. */
const enforced: Record<string, { ours: string; theirs: string; given?: Record<string, string> }> = {
  'spark.master': { ours: 'k8s://http://127.0.0.1:40001', theirs: '' }, // of its own below: in a command it is refused
  'spark.submit.deployMode': { ours: 'client', theirs: 'Client' },
  'spark.driver.host': { ours: '127.64.0.1', theirs: 'my-laptop' },
  'spark.driver.bindAddress': { ours: '[::1]', theirs: '0.0.0.0' },
  'spark.driver.port': { ours: '40002', theirs: '7077' },
  'spark.driver.blockManager.port': { ours: '40003', theirs: '7079' },
  'spark.blockManager.port': { ours: '40004', theirs: '7079' },
  'spark.port.maxRetries': { ours: '0', theirs: '16' },
  'spark.kubernetes.namespace': { ours: 'spark-lambda-relay', theirs: 'team-a' },
  'spark.kubernetes.authenticate.oauthTokenFile': {
    ours: '/run/agent/facade-token',
    theirs: '/home/me/token',
  },
  'spark.kubernetes.executor.useDriverPodIP': { ours: 'false', theirs: 'true' },
  'spark.kubernetes.executor.disableConfigMap': { ours: 'true', theirs: 'false' },
  'spark.kubernetes.driver.service.deleteOnTermination': { ours: 'false', theirs: 'true' },
  'spark.kubernetes.driver.ownPersistentVolumeClaim': { ours: 'false', theirs: 'true' },
  'spark.executor.instances': { ours: '10', theirs: '500', given: { 'spark.executor.instances': '500' } },
  'spark.dynamicAllocation.maxExecutors': { ours: '10', theirs: '500' },
  'spark.dynamicAllocation.minExecutors': {
    ours: '10',
    theirs: '500',
    given: { 'spark.dynamicAllocation.minExecutors': '500' },
  },
  'spark.dynamicAllocation.initialExecutors': {
    ours: '10',
    theirs: '500',
    given: { 'spark.dynamicAllocation.initialExecutors': '500' },
  },
}

/** What each default comes to, and what a user may say to have it otherwise. */
const defaulted: Record<string, { ours: string; theirs: string }> = {
  'spark.kubernetes.container.image': { ours: 'spark-lambda-relay', theirs: 'my/image' },
  'spark.authenticate': { ours: 'true', theirs: 'false' },
  'spark.network.crypto.enabled': { ours: 'true', theirs: 'false' },
  'spark.ui.port': { ours: '40005', theirs: '4040' },
  'spark.ui.custom.executor.log.url': {
    ours: 'http://127.0.0.1:40006/{{APP_ID}}/{{EXECUTOR_ID}}',
    theirs: 'http://logs/{{FILE_NAME}}',
  },
  'spark.shuffle.io.retryWait': { ours: '1s', theirs: '5s' },
  'spark.decommission.enabled': { ours: 'true', theirs: 'false' },
  'spark.storage.decommission.enabled': { ours: 'true', theirs: 'false' },
  'spark.storage.decommission.shuffleBlocks.enabled': { ours: 'true', theirs: 'false' },
  'spark.storage.decommission.rddBlocks.enabled': { ours: 'true', theirs: 'false' },
  'spark.storage.decommission.replicationReattemptInterval': { ours: '2s', theirs: '30s' },
  'spark.storage.decommission.shuffleBlocks.maxDiskSize': { ours: '8000000000b', theirs: '1g' },
  'spark.stage.ignoreDecommissionFetchFailure': { ours: 'true', theirs: 'false' },
  'spark.scheduler.maxRetainedRemovedDecommissionExecutors': { ours: '1000', theirs: '5' },
  'spark.executor.decommission.forceKillTimeout': { ours: '60s', theirs: '600s' },
  'spark.dynamicAllocation.enabled': { ours: 'true', theirs: 'false' },
  'spark.dynamicAllocation.shuffleTracking.enabled': { ours: 'true', theirs: 'false' },
  'spark.dynamicAllocation.executorIdleTimeout': { ours: '30s', theirs: '600s' },
  'spark.dynamicAllocation.shuffleTracking.timeout': { ours: '45s', theirs: '1h' },
  'spark.dynamicAllocation.cachedExecutorIdleTimeout': { ours: '45s', theirs: '1h' },
  'spark.cleaner.periodicGC.interval': { ours: '1min', theirs: '30min' },
  'spark.sql.classic.shuffleDependency.fileCleanup.enabled': { ours: 'true', theirs: 'false' },
  'spark.sql.connect.shuffleDependency.fileCleanup.enabled': { ours: 'true', theirs: 'false' },
  'spark.sql.thriftserver.shuffleDependency.fileCleanup.enabled': { ours: 'true', theirs: 'false' },
  'spark.kubernetes.allocation.batch.size': { ours: '100', theirs: '5' },
  'spark.kubernetes.allocation.batch.delay': { ours: '101ms', theirs: '1s' },
  'spark.executor.maxNumFailures': { ours: '24', theirs: '3' },
}

/** For each row that drops, a setting that it drops. */
const dropped: Record<string, string> = {
  'spark.kubernetes.executor.volumes.hostPath.*':
    'spark.kubernetes.executor.volumes.hostPath.data.mount.path',
  'spark.kubernetes.executor.volumes.nfs.*': 'spark.kubernetes.executor.volumes.nfs.data.options.server',
  'spark.kubernetes.executor.volumes.emptyDir.*':
    'spark.kubernetes.executor.volumes.emptyDir.scratch.mount.path',
}

/** For each row that refuses, a setting that it refuses and one that it lets pass. */
const refused: Record<
  string,
  { key?: string; value: string; code: SettingsErrorCode; passes?: string; change?: Partial<SettingsInput> }
> = {
  'spark.remote': { value: 'sc://elsewhere', code: 'other-master' },
  'spark.submit.deployMode': { value: 'cluster', code: 'cluster-mode', passes: 'client' },
  'spark.shuffle.service.enabled': { value: 'true', code: 'external-shuffle-service', passes: 'false' },
  'spark.shuffle.push.enabled': { value: 'True', code: 'push-based-shuffle', passes: 'false' },
  'spark.executor.resource.*.amount': { key: 'spark.executor.resource.gpu.amount', value: '1', code: 'gpu' },
  'spark.task.resource.*.amount': { key: 'spark.task.resource.gpu.amount', value: '0.5', code: 'gpu' },
  'spark.kubernetes.executor.volumes.persistentVolumeClaim.*': {
    key: 'spark.kubernetes.executor.volumes.persistentVolumeClaim.data.options.claimName',
    value: 'OnDemand',
    code: 'persistent-volume',
  },
  'spark.kubernetes.executor.secrets.*': {
    key: 'spark.kubernetes.executor.secrets.mine',
    value: '/etc/secrets',
    code: 'secret',
  },
  'spark.kubernetes.executor.secretKeyRef.*': {
    key: 'spark.kubernetes.executor.secretKeyRef.PASSWORD',
    value: 'mine:key',
    code: 'secret',
  },
  'spark.kubernetes.allocation.pods.allocator': {
    value: 'statefulset',
    code: 'pods-allocator',
    passes: 'direct',
  },
  'spark.driver.extraJavaOptions': {
    value: '-Xss4m -Djava.net.preferIPv4Stack=true',
    code: 'ipv4-only',
    passes: '-Djava.net.preferIPv4Stack=false',
  },
  'spark.executor.extraJavaOptions': {
    value: '-Djava.net.preferIPv4Stack=true',
    code: 'ipv4-only',
    passes: '-XX:+UseG1GC',
  },
}

const rowsOf = (kind: string) => table.filter((row) => row.kind === kind)

it('has one row a setting and kind, and every row has a reason', () => {
  const names = table.map(({ key, kind }) => `${kind} ${key}`)
  expect(new Set(names).size).toBe(names.length)
  for (const row of table) expect(row.why.length).toBeGreaterThan(10)
})

describe('an enforced setting', () => {
  it.each(rowsOf('enforced'))('$key is ours, and the user is told when he said otherwise', ({ key, why }) => {
    const { ours, theirs, given = {} } = enforced[key] as (typeof enforced)[string]
    expect(written(applyConf(given))[key]).toBe(ours)
    if (key === 'spark.master') return
    const applied = applyConf({ [key]: theirs })
    expect(written(applied)[key]).toBe(ours)
    expect(applied.warnings).toContain(`${key}=${theirs} becomes ${ours}: ${why}`)
    expect(applyConf({ [key]: ours }).warnings.join()).not.toContain('becomes')
  })
})

describe('a defaulted setting', () => {
  it.each(rowsOf('defaulted'))('$key is ours unless the user says otherwise', ({ key }) => {
    const { ours, theirs } = defaulted[key] as (typeof defaulted)[string]
    expect(written(apply())[key]).toBe(ours)
    const applied = applyConf({ [key]: theirs })
    expect(written(applied)[key]).toBe(theirs)
    expect(applied.warnings).toEqual([])
  })
})

describe('a dropped setting', () => {
  it.each(rowsOf('dropped'))('$key is left out with a warning', ({ key: pattern, why }) => {
    const key = dropped[pattern] ?? pattern
    expect(key).not.toContain('*')
    const applied = applyConf({ [key]: 'something' })
    expect(written(applied)).not.toHaveProperty([key])
    expect(applied.args.join(' ')).not.toContain('something')
    expect(applied.warnings).toContain(`${key} is left out: ${why}`)
  })
})

describe('a refused setting', () => {
  it.each(rowsOf('refused'))('$key is refused with how to mend it', ({ key: pattern }) => {
    const { key = pattern, value, code, passes } = refused[pattern] as (typeof refused)[string]
    const shown = key.endsWith('Options') ? `${key}: ` : `${key}=${value}: `
    expect(() => applyConf({ [key]: value })).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(/leave it out|use |take it out/) }),
    )
    expect(() => applyConf({ [key]: value })).toThrow(shown)
    if (passes !== undefined) expect(() => applyConf({ [key]: passes })).not.toThrow()
  })
})

describe('versions', () => {
  it('older than a setting are not given it', () => {
    const rows = table.filter(({ since }) => since === 4)
    expect(rows.length).toBeGreaterThan(0)
    for (const { key } of rows) {
      expect(written(apply({ sparkVersion: '3.5.7' }))).not.toHaveProperty([key])
      expect(written(apply({ sparkVersion: '4.0.1' }))).toHaveProperty([key])
    }
  })
})

describe('settings that hang together', () => {
  it('leave dynamic allocation alone when a number of executors is asked for', () => {
    const applied = apply({ args: ['--num-executors', '4'] })
    expect(applied).toMatchObject({ dynamicAllocation: false, instances: 4 })
    const settings = written(applied)
    expect(settings['spark.executor.instances']).toBe('4')
    for (const key of Object.keys(settings)) expect(key).not.toMatch(/^spark\.dynamicAllocation\./)
    expect(applied.args).not.toContain('--num-executors')
  })

  it('count the executors that a job begins with', () => {
    expect(apply()).toMatchObject({ dynamicAllocation: true, instances: 0 })
    expect(applyConf({ 'spark.dynamicAllocation.enabled': 'false' })).toMatchObject({
      dynamicAllocation: false,
      instances: 2,
    })
    const both = { 'spark.dynamicAllocation.enabled': 'true', 'spark.executor.instances': '6' }
    expect(applyConf(both)).toMatchObject({ dynamicAllocation: true, instances: 6 })
    expect(applyConf({ 'spark.dynamicAllocation.initialExecutors': '3' })).toMatchObject({ instances: 3 })
  })

  it('let a smaller maximum of the user stand, and put no maximum where he put none', () => {
    expect(written(applyConf({ 'spark.dynamicAllocation.maxExecutors': '4' }))).toMatchObject({
      'spark.dynamicAllocation.maxExecutors': '4',
    })
    expect(written(apply())).not.toHaveProperty(['spark.dynamicAllocation.minExecutors'])
  })

  it('say that executors which never go are paid for', () => {
    const { warnings } = applyConf({ 'spark.dynamicAllocation.minExecutors': '2' })
    expect(warnings).toEqual([expect.stringContaining('so many functions stay, and are paid')])
  })

  it('do not encrypt where the user switched authentication off, since Spark refuses that', () => {
    expect(written(applyConf({ 'spark.authenticate': 'false' }))).not.toHaveProperty([
      'spark.network.crypto.enabled',
    ])
  })

  it('let IPv4-only options pass where there is no ::1 anyway', () => {
    const conf = { 'spark.executor.extraJavaOptions': '-Djava.net.preferIPv4Stack=true' }
    const applied = applyConf(conf, { bindAddress: '127.64.0.1' })
    expect(written(applied)['spark.driver.bindAddress']).toBe('127.64.0.1')
  })

  it('refuse IPv4-only options in the environment too', () => {
    const env = { JAVA_TOOL_OPTIONS: '-Djava.net.preferIPv4Stack=true' }
    expect(() => apply({ env })).toThrow(expect.objectContaining({ code: 'ipv4-only' }))
  })

  it.each(['many', '-1', '1.5', ''])('refuse a number of executors of "%s"', (text) => {
    expect(() => applyConf({ 'spark.executor.instances': text })).toThrow(
      `spark.executor.instances=${text}: must be a whole number, 0 or more`,
    )
  })

  it('leave no function two minutes after the work, by their sum', () => {
    const settings = written(apply())
    const seconds = (key: string): number => Number.parseInt(settings[key] as string, 10)
    const idle = Math.max(
      seconds('spark.dynamicAllocation.executorIdleTimeout'),
      seconds('spark.dynamicAllocation.shuffleTracking.timeout'),
      seconds('spark.dynamicAllocation.cachedExecutorIdleTimeout'),
    )
    expect(idle + seconds('spark.executor.decommission.forceKillTimeout') + 10).toBeLessThanOrEqual(120)
  })
})
