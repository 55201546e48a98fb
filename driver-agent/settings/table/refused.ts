/** What cannot run on functions. Part of the settings table. */
import { isTrue, type Row } from '../row.ts'

const noVolumes = 'functions have no persistent volumes; leave it out, executors get a disk of their own'
const noSecrets = 'there is no cluster whose secrets could be read; use spark.executorEnv.NAME instead'
const noDevices = 'functions have processors and memory only; leave it out'

export const refused: readonly Row[] = [
  {
    key: 'spark.remote',
    kind: 'refused',
    code: 'other-master',
    why: 'that is the address of another Spark, and executors are functions here; leave it out',
  },
  {
    key: 'spark.submit.deployMode',
    kind: 'refused',
    code: 'cluster-mode',
    when: (value) => value.trim().toLowerCase() !== 'client',
    why: 'the driver runs on this machine, functions are executors only; use client mode',
  },
  {
    key: 'spark.shuffle.service.enabled',
    kind: 'refused',
    code: 'external-shuffle-service',
    when: isTrue,
    why: 'there is no node on which an external shuffle service could run; leave it out, blocks move when an executor goes',
  },
  {
    key: 'spark.shuffle.push.enabled',
    kind: 'refused',
    code: 'push-based-shuffle',
    when: isTrue,
    why: 'push-based shuffle needs an external shuffle service, and there is none; leave it out',
  },
  { key: 'spark.executor.resource.*.amount', kind: 'refused', code: 'gpu', why: noDevices },
  { key: 'spark.task.resource.*.amount', kind: 'refused', code: 'gpu', why: noDevices },
  {
    key: 'spark.kubernetes.executor.volumes.persistentVolumeClaim.*',
    kind: 'refused',
    code: 'persistent-volume',
    why: noVolumes,
  },
  { key: 'spark.kubernetes.executor.secrets.*', kind: 'refused', code: 'secret', why: noSecrets },
  { key: 'spark.kubernetes.executor.secretKeyRef.*', kind: 'refused', code: 'secret', why: noSecrets },
  {
    key: 'spark.kubernetes.allocation.pods.allocator',
    kind: 'refused',
    code: 'pods-allocator',
    when: (value) => value !== 'direct',
    why: 'there is no cluster with sets of pods; leave it out',
  },
  ...['spark.driver.extraJavaOptions', 'spark.executor.extraJavaOptions'].map(
    (key): Row => ({
      key,
      kind: 'refused',
      code: 'ipv4-only',
      when: (value, { input }) => input.bindAddress === '[::1]' && forcesIpv4(value),
      why: 'with -Djava.net.preferIPv4Stack=true the JVM cannot listen on ::1; take it out of the options',
    }),
  ),
]

/** Java options that leave a JVM without ::1. */
export function forcesIpv4(options: string): boolean {
  return /-Djava\.net\.preferIPv4Stack=true\b/i.test(options)
}
