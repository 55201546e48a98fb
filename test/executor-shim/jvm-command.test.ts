import { describe, expect, it } from 'vitest'
import {
  type ExecutorPlace,
  javaOptions,
  jvmCommand,
  missingFromPod,
} from '../../executor-shim/jvm-command.ts'
import { recordedPods, recordedVersions } from '../helper/recorded-pods.ts'

const place: ExecutorPlace = {
  sparkHome: '/spark',
  java: '/java/bin/java',
  workDir: '/tmp/work',
  confDir: '/tmp/work/conf',
  address: '127.64.0.2',
  ipv6: true,
}

function valueAfter(args: readonly string[], option: string): string | undefined {
  return args[args.indexOf(option) + 1]
}

describe.each(recordedVersions)('the command of an executor of Spark %s', (version) => {
  const pods = recordedPods(version)
  const [pod] = pods
  if (pod === undefined) throw new Error('no pod recorded')
  const jvm = jvmCommand(pod, { PATH: '/bin' }, place)
  const mainAt = jvm.args.indexOf('org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend')

  it('was asked for three times in the recording, with all that an executor needs', () => {
    expect(pods.length).toBe(3)
    for (const recorded of pods) expect(missingFromPod(recorded)).toEqual([])
  })

  it('hands every Java option on, in the order of its number', () => {
    const options = jvm.args.slice(0, mainAt)
    const count = Object.keys(pod.env).filter((name) => name.startsWith('SPARK_JAVA_OPT_')).length
    expect(count).toBeGreaterThan(20)
    expect(options.slice(0, count)).toEqual(
      Array.from({ length: count }, (_, index) => pod.env[`SPARK_JAVA_OPT_${index}`]),
    )
  })

  it('names driver, executor, application and addresses as Spark wants them', () => {
    const named = jvm.args.slice(mainAt + 1)
    expect(named).toEqual([
      '--driver-url',
      'spark://CoarseGrainedScheduler@127.64.0.1:7077',
      '--executor-id',
      '1',
      '--cores',
      '1',
      '--app-id',
      pod.labels['spark-app-selector'],
      '--hostname',
      '127.64.0.2',
      '--resourceProfileId',
      '0',
      '--podName',
      pod.name,
      '--bind-address',
      '[::1]',
    ])
  })

  it('sizes the heap by SPARK_EXECUTOR_MEMORY', () => {
    expect(jvm.args).toContain('-Xms600m')
    expect(jvm.args).toContain('-Xmx600m')
  })

  it('finds the classes of the conf folder first, then those of Spark, then what lands in the cwd', () => {
    expect(valueAfter(jvm.args, '-cp')).toBe('/tmp/work/conf:/spark/jars/*:/tmp/work')
  })

  it('writes only into the work folder', () => {
    expect(jvm.cwd).toBe('/tmp/work')
    expect(jvm.env.SPARK_LOCAL_DIRS).toBe('/tmp/work/local')
    expect(jvm.args).toContain('-Djava.io.tmpdir=/tmp/work/tmp')
    expect(jvm.folders).toEqual(['/tmp/work/tmp', '/tmp/work/local'])
  })

  it('passes every entry of the environment on, but paths of an image that does not exist', () => {
    const ours = { SPARK_LOCAL_DIRS: '/tmp/work/local', SPARK_CONF_DIR: '/tmp/work/conf' }
    expect(jvm.env).toMatchObject({ ...pod.env, ...ours, PATH: '/bin', SPARK_HOME: '/spark' })
    const without = jvmCommand(pod, {}, { ...place, confDir: undefined })
    expect(without.env).not.toHaveProperty('SPARK_CONF_DIR')
  })

  it('puts the authentication secret nowhere but in the environment', () => {
    const secret = pod.env._SPARK_AUTH_SECRET as string
    expect(jvm.env._SPARK_AUTH_SECRET).toBe(secret)
    expect(jvm.args.join(' ')).not.toContain(secret)
  })

  it('gives Netty a machine id, which it cannot make without a network card', () => {
    expect(jvm.args).toContain('-Dio.netty.machineId=02:00:00:00:7f:40:00:02')
  })

  it('binds the virtual address where ::1 is missing', () => {
    const { args } = jvmCommand(pod, {}, { ...place, ipv6: false })
    expect(valueAfter(args, '--bind-address')).toBe('127.64.0.2')
  })
})

describe('the command of an executor', () => {
  it('takes option 2 before option 10', () => {
    const env = {
      SPARK_JAVA_OPT_10: 'c',
      SPARK_JAVA_OPT_2: 'b',
      SPARK_JAVA_OPT_0: 'a',
      SPARK_JAVA_OPT_x: 'no',
    }
    expect(javaOptions(env)).toEqual(['a', 'b', 'c'])
  })

  it('puts extra class paths where Spark puts them', () => {
    const [pod] = recordedPods('3.5.7')
    if (pod === undefined) throw new Error('no pod recorded')
    const env = { ...pod.env, SPARK_CLASSPATH: '/extra/a.jar', SPARK_DIST_CLASSPATH: '/hadoop/*' }
    const { args } = jvmCommand({ ...pod, env }, {}, place)
    expect(valueAfter(args, '-cp')).toBe('/tmp/work/conf:/extra/a.jar:/spark/jars/*:/hadoop/*:/tmp/work')
  })

  it('lets the pod overrule the function, and us overrule both where the JVM writes', () => {
    const [pod] = recordedPods('4.3.0')
    if (pod === undefined) throw new Error('no pod recorded')
    const base = { SPARK_USER: 'function', SPARK_LOCAL_DIRS: '/elsewhere', TMPDIR: '/elsewhere' }
    const { env } = jvmCommand(pod, base, place)
    expect(env).toMatchObject({
      SPARK_USER: 'root',
      SPARK_LOCAL_DIRS: '/tmp/work/local',
      TMPDIR: '/tmp/work/tmp',
    })
  })

  it('names what a pod lacks that Spark did not make', () => {
    const [pod] = recordedPods('3.5.7')
    if (pod === undefined) throw new Error('no pod recorded')
    const { SPARK_DRIVER_URL: _, ...env } = pod.env
    expect(missingFromPod({ ...pod, env: { ...env, SPARK_EXECUTOR_ID: '' } })).toEqual([
      'SPARK_DRIVER_URL',
      'SPARK_EXECUTOR_ID',
    ])
  })
})
