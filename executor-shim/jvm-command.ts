/**
 * The executor's command line and environment out of the pod that Spark asked for: what the
 * entry script of Spark's own container image does, as a pure function. Used by shim.ts.
 */
import { ShimError } from './errors.ts'
import type { FunctionPayload } from './payload.ts'

export type Pod = FunctionPayload['pod']

/** Where things are inside this function. */
export interface ExecutorPlace {
  readonly sparkHome: string
  /** Java to run: a full path, or `java` to be found on PATH. */
  readonly java: string
  /** Writable folder: the JVM's cwd; its local dirs and temporary files lie in it. */
  readonly workDir: string
  /** Folder with the user's SPARK_CONF_DIR files, or undefined when there are none. */
  readonly confDir: string | undefined
  /** Virtual address of this executor. */
  readonly address: string
  /** Whether `::1` exists; without it the JVM binds its virtual address. */
  readonly ipv6: boolean
}

export interface JvmCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Folders that must exist before the start, all under workDir. */
  readonly folders: readonly string[]
}

const BACKEND = 'org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend'

/** What Spark always sends; a pod without one of them was not made by Spark. */
const required = [
  'SPARK_DRIVER_URL',
  'SPARK_EXECUTOR_ID',
  'SPARK_EXECUTOR_CORES',
  'SPARK_EXECUTOR_MEMORY',
  'SPARK_APPLICATION_ID',
] as const

/** Names in `required` that the pod's env lacks. */
export function missingFromPod(pod: Pod): readonly string[] {
  return required.filter((name) => (pod.env[name] ?? '') === '')
}

/** Throws ShimError: the pod was not made by Spark, or by another version than `sparkVersion`, which is here. */
export function assertFits(payload: FunctionPayload, sparkVersion: string): void {
  const missing = missingFromPod(payload.pod)
  if (missing.length > 0) {
    throw new ShimError('payload', `the pod lacks ${missing.join(', ')}: it was not made by Spark`)
  }
  if (payload.sparkVersion === sparkVersion) return
  throw new ShimError(
    'version',
    `the function has Spark ${sparkVersion}, the driver runs ${payload.sparkVersion}: set SPARK_HOME so that both are the same`,
  )
}

/** `base` is the function's own environment (PATH, JAVA_HOME …); the pod's entries win over it. */
export function jvmCommand(
  pod: Pod,
  base: Readonly<Record<string, string>>,
  place: ExecutorPlace,
): JvmCommand {
  const temporary = `${place.workDir}/tmp`
  const local = `${place.workDir}/local`
  const env: Record<string, string> = {
    // Without a name service the JVM would spend seconds on looking up its own host name.
    SPARK_LOCAL_HOSTNAME: place.address,
    SPARK_LOCAL_IP: place.address,
    ...base,
    ...pod.env,
    SPARK_HOME: place.sparkHome,
    SPARK_LOCAL_DIRS: local,
    TMPDIR: temporary,
  }
  // The pod's is a path inside an image that does not exist here.
  if (place.confDir === undefined) delete env.SPARK_CONF_DIR
  else env.SPARK_CONF_DIR = place.confDir

  const value = (name: string) => pod.env[name] ?? ''
  const args = [
    ...javaOptions(pod.env),
    // After Spark's options, so that no user's setting moves it out of the work folder.
    `-Djava.io.tmpdir=${temporary}`,
    // Netty makes it of a hardware address, and warns where there is no network card.
    `-Dio.netty.machineId=${machineId(place.address)}`,
    `-Xms${value('SPARK_EXECUTOR_MEMORY')}`,
    `-Xmx${value('SPARK_EXECUTOR_MEMORY')}`,
    '-cp',
    classPath(pod.env, place),
    BACKEND,
    ...['--driver-url', value('SPARK_DRIVER_URL')],
    ...['--executor-id', value('SPARK_EXECUTOR_ID')],
    ...['--cores', value('SPARK_EXECUTOR_CORES')],
    ...['--app-id', value('SPARK_APPLICATION_ID')],
    ...['--hostname', place.address],
    ...['--resourceProfileId', pod.env.SPARK_RESOURCE_PROFILE_ID ?? '0'],
    ...['--podName', pod.name],
    ...['--bind-address', place.ipv6 ? '[::1]' : place.address],
  ]
  return { command: place.java, args, env, cwd: place.workDir, folders: [temporary, local] }
}

/** Values of SPARK_JAVA_OPT_n in the order of n: 2 before 10, unlike the order of their names. */
export function javaOptions(env: Readonly<Record<string, string>>): string[] {
  const numbered: { readonly number: number; readonly option: string }[] = []
  for (const [name, option] of Object.entries(env)) {
    const match = /^SPARK_JAVA_OPT_(\d+)$/.exec(name)
    if (match !== null) numbered.push({ number: Number(match[1]), option })
  }
  return numbered.sort((a, b) => a.number - b.number).map(({ option }) => option)
}

/** Eight bytes in hexadecimal: a locally administered number with the virtual address at its end. */
function machineId(address: string): string {
  const octets = address.split('.').map((octet) => Number(octet).toString(16).padStart(2, '0'))
  return ['02', '00', '00', '00', ...octets].join(':')
}

/** The user's conf folder first: its log4j2.properties must win over the one in Spark's jar. */
function classPath(env: Readonly<Record<string, string>>, place: ExecutorPlace): string {
  return [
    place.confDir,
    env.SPARK_CLASSPATH, // spark.executor.extraClassPath
    `${place.sparkHome}/jars/*`,
    env.SPARK_DIST_CLASSPATH,
    place.workDir, // --jars and --files land in the cwd
  ]
    .filter((entry) => entry !== undefined && entry !== '')
    .join(':')
}
