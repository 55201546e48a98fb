/** From a user's arguments and files to Spark's. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isPythonProgram } from '../../../driver-agent/settings/index.ts'
import { apply, applyConf, folderWith, written } from './fixture.ts'

describe('the arguments for spark-submit', () => {
  it('are our master, our properties file, the user’s flags, his program and its arguments', () => {
    const program = ['job.py', '--master', 'of-the-program', '--conf', 'x']
    const flags = ['--name', 'my job', '--jars', 'a.jar,b.jar', '--driver-memory=2g', '--verbose']
    const { args } = apply({ args: [...flags, '-c', 'spark.sql.shuffle.partitions=7', ...program] })
    expect(args).toEqual([
      ...[
        '--master',
        'k8s://http://127.0.0.1:40001',
        '--properties-file',
        '/run/agent/conf/spark-defaults.conf',
      ],
      ...['--name', 'my job', '--jars', 'a.jar,b.jar', '--driver-memory', '2g', '--verbose'],
      ...program,
    ])
  })

  it('hold no setting: a password in one is seen by nobody who lists processes', () => {
    const applied = applyConf({ 'spark.hadoop.my.password': 'hunter2' }, { args: ['job.py'] })
    expect(applied.args.join(' ')).not.toContain('hunter2')
    expect(written(applied)['spark.hadoop.my.password']).toBe('hunter2')
  })

  it('keep what a properties file would trim', () => {
    const applied = applyConf({ 'spark.my.separator': ' | ' })
    expect(applied.args).toContain('spark.my.separator= | ')
    expect(written(applied)).not.toHaveProperty(['spark.my.separator'])
  })

  it('are enough without any from the user, as for a notebook', () => {
    const applied = apply()
    expect(applied.args).toHaveLength(4)
    expect(written(applied)).toMatchObject({ 'spark.master': 'k8s://http://127.0.0.1:40001' })
  })
})

describe('a program', () => {
  it.each([
    [['job.py', '--rows', '3'], true],
    [['--py-files', 'x.py', '--conf', 'a=b', 'job.py'], true],
    [['pyspark-shell'], true],
    [['--class', 'X', 'app.jar', '--py-files', 'x.py'], false],
    [['--py-files', 'x.py', '--class', 'X', 'app.jar'], false],
    [['--class', 'X', '--files', 'x.py', 'app.jar', 'job.py'], false],
    [['--version'], false],
  ])('%j: is Python: %s', (args, isPython) => {
    expect(isPythonProgram(args)).toBe(isPython)
  })
})

describe('a master of the user’s', () => {
  const ways = [
    ['--master', 'local[*]'],
    ['--master=yarn'],
    ['--conf', 'spark.master=spark://h:7077'],
    ['--conf=spark.master=k8s://https://cluster'],
  ]
  it.each(ways)('is refused in the command: %s %s', (...args) => {
    expect(() => apply({ args: args.filter(Boolean) })).toThrow(
      expect.objectContaining({ code: 'other-master' }),
    )
  })

  it('is replaced with a warning when a file of the installation has it', () => {
    const SPARK_CONF_DIR = folderWith({ 'spark-defaults.conf': 'spark.master yarn\n' })
    const applied = apply({ env: { SPARK_CONF_DIR } })
    expect(written(applied)['spark.master']).toBe('k8s://http://127.0.0.1:40001')
    expect(applied.warnings).toEqual([expect.stringContaining('spark.master=yarn becomes k8s://')])
  })

  it('is refused in the variable that notebooks read', () => {
    const env = { PYSPARK_SUBMIT_ARGS: '--master local[4] pyspark-shell' }
    expect(() => apply({ env })).toThrow(expect.objectContaining({ code: 'other-master' }))
    expect(() => apply({ env, args: ['job.py'] })).not.toThrow()
    expect(() => apply({ env: { PYSPARK_SUBMIT_ARGS: '--name masterpiece pyspark-shell' } })).not.toThrow()
  })

  it('passes when it is ours', () => {
    expect(apply({ args: ['--master', 'k8s://http://127.0.0.1:40001'] }).warnings).toEqual([])
  })

  it.each([
    [['--deploy-mode', 'cluster'], 'cluster-mode'],
    [['--deploy-mode=cluster'], 'cluster-mode'],
    [['--remote', 'sc://h'], 'other-master'],
  ])('and so is %j', (args, code) => {
    expect(() => apply({ args })).toThrow(expect.objectContaining({ code }))
  })
})

describe('settings come from where spark-submit looks', () => {
  const key = 'spark.rank'

  it('spark-defaults.conf of SPARK_CONF_DIR, or of SPARK_HOME/conf', () => {
    const folder = folderWith({
      'conf/spark-defaults.conf': `${key} home`,
      'spark-defaults.conf': `${key} dir`,
    })
    expect(written(apply({ env: { SPARK_CONF_DIR: folder } }))[key]).toBe('dir')
    const applied = apply({ sparkHome: folder })
    expect(written(applied)[key]).toBe('home')
    expect(applied.confDir).toBe(join(folder, 'conf'))
  })

  it('a properties file instead of it, beside it with --load-spark-defaults', () => {
    const folder = folderWith({
      'spark-defaults.conf': `${key} defaults\nspark.only.there 1`,
      'my.conf': `${key}=mine`,
    })
    const args = ['--properties-file', join(folder, 'my.conf')]
    const env = { SPARK_CONF_DIR: folder }
    const alone = written(apply({ env, args }))
    expect(alone[key]).toBe('mine')
    expect(alone).not.toHaveProperty(['spark.only.there'])
    const both = apply({ env, args: [...args, '--load-spark-defaults'] })
    expect(written(both)).toMatchObject({ [key]: 'mine', 'spark.only.there': '1' })
    expect(both.args).not.toContain('--load-spark-defaults')
  })

  it('further properties files over it', () => {
    const folder = folderWith({ 'a.conf': `${key}=a`, 'b.conf': `${key}=b`, 'c.conf': `${key}=c` })
    const [a, b, c] = ['a.conf', 'b.conf', 'c.conf'].map((name) => join(folder, name))
    const args = ['--properties-file', a as string, '--extra-properties-file', `${b},${c}`]
    expect(written(apply({ args }))[key]).toBe('c')
  })

  it('--conf over every file, the last one wins', () => {
    const SPARK_CONF_DIR = folderWith({ 'spark-defaults.conf': `${key} defaults` })
    const args = ['--conf', `${key}=first`, `--conf=${key}=second=with=equals`]
    expect(written(apply({ env: { SPARK_CONF_DIR }, args }))[key]).toBe('second=with=equals')
  })

  it('flags over --conf', () => {
    const args = ['--num-executors', '3', '--conf', 'spark.executor.instances=7']
    expect(apply({ args }).instances).toBe(3)
    const memory = apply({ args: ['--executor-memory', '1g', '--conf', 'spark.executor.memory=2g'] })
    expect(memory.conf.get('spark.executor.memory')).toBe('1g')
    expect(memory.args).toContain('1g')
  })

  it('and what must go is gone from there as well', () => {
    const SPARK_CONF_DIR = folderWith({
      'spark-defaults.conf': 'spark.kubernetes.driver.pod.name me\nspark.a 1',
    })
    const settings = written(apply({ env: { SPARK_CONF_DIR } }))
    expect(settings).not.toHaveProperty(['spark.kubernetes.driver.pod.name'])
    expect(settings['spark.a']).toBe('1')
  })

  it('a file that cannot be read is named', () => {
    expect(() => apply({ args: ['--properties-file', '/no/such/file'] })).toThrow(
      expect.objectContaining({ code: 'unreadable-file', message: expect.stringContaining('/no/such/file') }),
    )
  })

  it.each([[['--conf']], [['--name']], [['--conf', 'spark.x']], [['--conf', '=x']]])(
    'an argument that makes no sense is named: %j',
    (args) => {
      expect(() => apply({ args })).toThrow(expect.objectContaining({ code: 'bad-argument' }))
    },
  )
})

describe('the driver’s environment', () => {
  it('keeps the API client off proxies and kubeconfigs, and Spark off other addresses', () => {
    const { env } = apply({ env: { NO_PROXY: 'internal', SPARK_LOCAL_IP: '10.0.0.1' } })
    expect(env).toMatchObject({
      NO_PROXY: 'internal,127.0.0.1',
      no_proxy: 'internal,127.0.0.1',
      KUBERNETES_AUTH_TRYKUBECONFIG: 'false',
    })
    for (const name of ['SPARK_LOCAL_IP', 'SPARK_REMOTE', 'MASTER']) {
      expect(Object.hasOwn(env, name)).toBe(true)
      expect(env[name]).toBeUndefined()
    }
    expect(apply().env.NO_PROXY).toBe('127.0.0.1')
  })
})

describe('a job that reaches outside', () => {
  const conf: [Record<string, string>, string][] = [
    [
      { 'spark.hadoop.fs.s3a.endpoint': 'http://s3' },
      'the setting spark.hadoop.fs.s3a.endpoint points to s3',
    ],
    [{ 'spark.sql.warehouse.dir': 's3a://bucket/x' }, 'the setting spark.sql.warehouse.dir points to s3'],
    [{ 'spark.jars.packages': 'org.apache.hadoop:hadoop-aws:3.4.1' }, 'points to s3'],
    [{ 'spark.jars.packages': 'org.apache.spark:spark-sql-kafka-0-10_2.13:4.3.0' }, 'points to kafka'],
    [{ 'spark.jars.packages': 'org.postgresql:postgresql:42.7.4' }, 'points to jdbc'],
    [{ 'spark.my.url': 'jdbc:mysql://db/x' }, 'points to jdbc'],
    [{ 'spark.my.input': 'hdfs://namenode/x' }, 'points to hdfs'],
  ]
  it.each(conf)('is warned of before it hangs: %j', (settings, sentence) => {
    const { warnings } = applyConf(settings)
    expect(warnings).toEqual([expect.stringContaining(sentence)])
    // A way out that there is: `--egress` takes nothing but none.
    expect(warnings[0]).toContain('let the driver read and write it')
    expect(applyConf(settings, { egress: 'host-proxy' }).warnings).toEqual([])
  })

  it('is seen in flags and in the program’s arguments', () => {
    expect(
      apply({ args: ['--packages', 'org.apache.hadoop:hadoop-aws:3.4.1', 'job.py'] }).warnings,
    ).toHaveLength(1)
    expect(apply({ args: ['job.py', 's3a://bucket/in', 'gs://bucket/out'] }).warnings).toHaveLength(2)
  })

  it('is not seen where only the driver goes', () => {
    const driverOnly = {
      'spark.eventLog.dir': 's3a://bucket/log',
      'spark.driver.extraJavaOptions': '-Dx=jdbc:y',
    }
    expect(applyConf(driverOnly, { args: ['kafka-job.py'] }).warnings).toEqual([])
  })
})

describe('settings of a user that concern nobody here', () => {
  it('pass unchanged, plugins and Kerberos among them', () => {
    const settings = {
      'spark.plugins': 'com.example.Plugin',
      'spark.kerberos.renewal.credentials': 'ccache',
      'spark.kubernetes.executor.podTemplateFile': '/tmp/template.yaml',
      'spark.executorEnv.A': 'b=c',
      'spark.eventLog.enabled': 'true',
      'spark.path': 'C:\\temp\\new',
      'spark.unicode': 'größe ✓',
    }
    const applied = applyConf(settings)
    expect(written(applied)).toMatchObject(settings)
    expect(applied.warnings).toEqual([])
  })
})
