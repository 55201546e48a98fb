/**
 * Files that jobs send to executors, made anew for each run: a jar with a Java function and a listener, a
 * Python package, an archive of random bytes, a pod template. Needs a JDK. For test/spark/ only.
 */
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { jobs } from './harness.ts'

const MiB = 1024 * 1024

/** A home whose ~/.kube/config nobody can read: Spark's API client is to leave it alone. */
export function homeWithKubeconfig(folder: string): Record<string, string> {
  const home = join(folder, 'home')
  mkdirSync(join(home, '.kube'), { recursive: true })
  writeFileSync(join(home, '.kube', 'config'), 'this: [is not\n  a kubeconfig')
  // A Python of pyenv is found through the home.
  return { HOME: home, PYENV_ROOT: process.env.PYENV_ROOT ?? join(homedir(), '.pyenv') }
}

/** Compiles the Java of jobs/ against `sparkHome` into a jar. Answers its path. */
export function javaJar(folder: string, sparkHome: string): string {
  const classes = join(folder, 'classes')
  mkdirSync(classes)
  const sources = ['TimesSeven.java', 'HeartbeatTimes.java'].map((name) => join(jobs, name))
  execFileSync('javac', ['-cp', join(sparkHome, 'jars', '*'), '-d', classes, ...sources])
  return zip(join(folder, 'java.jar'), classes)
}

/** jobs/packaged as a zip for --py-files. */
export function pythonPackage(folder: string): string {
  const file = join(folder, 'packaged.zip')
  execFileSync('jar', [
    '--create',
    '--no-manifest',
    '--file',
    file,
    '-C',
    jobs,
    'packaged/__init__.py',
    '-C',
    jobs,
    'packaged/answer.py',
  ])
  return file
}

/** A zip with one file `blob` of `mebibytes` that no codec shrinks, and that file's SHA-256. */
export function randomArchive(folder: string, mebibytes: number): { file: string; sha256: string } {
  const content = join(folder, 'archive')
  mkdirSync(content)
  const digest = createHash('sha256')
  const blob = openSync(join(content, 'blob'), 'w')
  for (let index = 0; index < mebibytes; index += 1) {
    const piece = randomBytes(MiB)
    digest.update(piece)
    writeSync(blob, piece)
  }
  closeSync(blob)
  return { file: zip(join(folder, 'data.zip'), content), sha256: digest.digest('hex') }
}

/** A pod template that sets FROM_TEMPLATE in executors. */
export function podTemplate(folder: string): string {
  const file = join(folder, 'template.yaml')
  writeFileSync(
    file,
    `apiVersion: v1
kind: Pod
metadata:
  labels:
    team: data
spec:
  containers:
    - name: executor
      env:
        - name: FROM_TEMPLATE
          value: of-the-user
`,
  )
  return file
}

/** A SPARK_CONF_DIR whose log4j2.properties marks every line of an executor's log; behind the mark the ms since 1970. */
export function markedConfDir(folder: string, mark: string): string {
  const confDir = join(folder, 'conf')
  mkdirSync(confDir)
  writeFileSync(
    join(confDir, 'log4j2.properties'),
    `rootLogger.level = info
rootLogger.appenderRef.stdout.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = ${mark} %d{UNIX_MILLIS} %p %c{1}: %m%n%ex
`,
  )
  writeFileSync(join(confDir, 'spark-defaults.conf'), 'spark.test.fromDefaults  also-here\n')
  return confDir
}

function zip(file: string, folder: string): string {
  execFileSync('jar', ['--create', '--no-compress', '--no-manifest', '--file', file, '-C', folder, '.'])
  return file
}
