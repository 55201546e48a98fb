/** Pods as Spark 3.5.7 and 4.3.0 asked for them, out of test/fixture/recordings/. */
import { readFileSync } from 'node:fs'
import type { Pod } from '../../executor-shim/jvm-command.ts'

export const recordedVersions = ['3.5.7', '4.3.0'] as const
export type RecordedVersion = (typeof recordedVersions)[number]

interface EnvEntry {
  readonly name: string
  readonly value?: string
}

interface RecordedPod {
  readonly metadata: { readonly name: string; readonly labels: Record<string, string> }
  readonly spec: { readonly containers: readonly { readonly env: readonly EnvEntry[] }[] }
}

/** The pods of all POST requests, as the agent hands them to a function. */
export function recordedPods(version: RecordedVersion): readonly Pod[] {
  const file = new URL(`../fixture/recordings/spark-${version}.jsonl`, import.meta.url)
  const requests = readFileSync(file, 'utf8').trim().split('\n')
  const bodies = requests
    .map((line) => JSON.parse(line) as { method: string; body?: RecordedPod })
    .filter(({ method }) => method === 'POST')
    .map(({ body }) => body as RecordedPod)
  return bodies.map((body) => ({
    name: body.metadata.name,
    uid: 'a-uid',
    namespace: 'lambda',
    labels: body.metadata.labels,
    env: Object.fromEntries(
      (body.spec.containers[0]?.env ?? []).map(({ name, value }) => [name, value ?? fieldOf(name)]),
    ),
    memoryBytes: 984 * 1024 * 1024,
    cpus: 1,
  }))
}

/** fieldRefs as the agent resolves them. */
function fieldOf(name: string): string {
  return name === 'SPARK_EXECUTOR_POD_IP' ? '127.64.0.2' : 'the-pod'
}
