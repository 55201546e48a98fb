/**
 * What a posted pod says, read once: refused (the API's 422) when it is no pod; accepted but
 * unfit when it asks for what no function has. Unfit is not refused, because Spark tries a
 * failed POST again each second for ever, while a Failed pod is counted. Used by table.ts.
 */
import * as z from 'zod'
import { PodsError } from './errors.ts'
import { parseQuantity } from './quantity.ts'

const envEntry = z.looseObject({
  name: z.string().min(1),
  value: z.string().nullish(),
  valueFrom: z.looseObject({}).nullish(),
})
export type EnvEntry = z.infer<typeof envEntry>

const container = z.looseObject({
  name: z.string().min(1),
  image: z.string().nullish(),
  args: z.array(z.string()).nullish(),
  env: z.array(envEntry).nullish(),
  envFrom: z.array(z.looseObject({})).nullish(),
  resources: z
    .looseObject({
      limits: z.record(z.string(), z.union([z.string(), z.number()])).nullish(),
      requests: z.record(z.string(), z.union([z.string(), z.number()])).nullish(),
    })
    .nullish(),
})
type Container = z.infer<typeof container>

const strings = z.record(z.string(), z.string()).nullish()
const postedPod = z.looseObject({
  kind: z.literal('Pod').nullish(),
  metadata: z.looseObject({
    // RFC 1123 subdomain, as the API demands: the name becomes a file's and a log's name.
    name: z
      .string()
      .max(253)
      .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/),
    labels: strings,
    annotations: strings,
  }),
  spec: z.looseObject({
    containers: z.array(container).min(1),
    initContainers: z.array(z.unknown()).nullish(),
    volumes: z.array(z.looseObject({ name: z.string() })).nullish(),
  }),
})

export interface PostedPod {
  readonly name: string
  readonly labels: Record<string, string>
  readonly annotations: Record<string, string> | undefined
  readonly spec: Record<string, unknown>
  readonly containerName: string
  readonly image: string
  readonly env: readonly EnvEntry[]
  /** Limits, or requests where there is no limit. */
  readonly memoryBytes: number
  readonly cpus: number
  /** Why no function can be this pod; undefined: one can. */
  readonly unfit: string | undefined
}

/** Throws PodsError `invalid` with the field at fault. */
export function readPostedPod(body: unknown): PostedPod {
  const parsed = postedPod.safeParse(body)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new PodsError(
      'invalid',
      `Pod is invalid: ${issue?.path.join('.') || 'the body'}: ${issue?.message}`,
    )
  }
  const { metadata, spec } = parsed.data
  // Spark names its container so; a pod template may bring others beside it.
  const chosen =
    spec.containers.find(({ name }) => name === 'spark-kubernetes-executor') ??
    spec.containers.find(({ args }) => args?.[0] === 'executor') ??
    (spec.containers[0] as Container)
  const memory = parseQuantity(quantityOf(chosen, 'memory'))
  const cpus = parseQuantity(quantityOf(chosen, 'cpu'))
  return {
    name: metadata.name,
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? undefined,
    spec,
    containerName: chosen.name,
    image: chosen.image ?? '',
    env: chosen.env ?? [],
    memoryBytes: Math.ceil(memory ?? 0),
    cpus: cpus ?? 1,
    unfit:
      findUnfit(chosen, memory) ??
      findUnfitVolume(spec.volumes ?? []) ??
      ((spec.initContainers ?? []).length === 0
        ? undefined
        : 'it has init containers, and a function runs one container only'),
  }
}

function quantityOf({ resources }: Container, name: string): string | number | undefined {
  return resources?.limits?.[name] ?? resources?.requests?.[name]
}

const known = new Set(['memory', 'cpu', 'ephemeral-storage'])

function findUnfit(
  { name, resources, env, envFrom }: Container,
  memory: number | undefined,
): string | undefined {
  const odd = Object.keys({ ...resources?.limits, ...resources?.requests }).find((key) => !known.has(key))
  if (odd !== undefined) return `it asks for ${odd}, and functions have only processors and memory`
  if (memory === undefined || memory <= 0) {
    return `its container ${name} has no memory limit or request, so the function cannot be sized`
  }
  const secret = env?.find(({ valueFrom }) => isNeeded(valueFrom, 'secretKeyRef', 'configMapKeyRef'))
  if (secret !== undefined) {
    return `its variable ${secret.name} comes from a secret or config map of a cluster, and there is none: use spark.executorEnv.${secret.name}`
  }
  if (envFrom?.some((source) => isNeeded(source, 'secretRef', 'configMapRef'))) {
    return `its container ${name} takes variables from a secret or config map of a cluster (envFrom), and there is none: use spark.executorEnv.NAME`
  }
  return undefined
}

/** Spark's own volumes are of these kinds, and a function has a disk for them. */
const ownDisk = new Set(['name', 'emptyDir', 'downwardAPI'])

function findUnfitVolume(volumes: readonly Record<string, unknown>[]): string | undefined {
  for (const volume of volumes) {
    const kind = Object.keys(volume).find((key) => !ownDisk.has(key) && isNeeded(volume, key))
    if (kind !== undefined)
      return `its volume ${String(volume.name)} is of the kind ${kind}, and a function has its own disk only`
  }
  return undefined
}

function isNeeded(valueFrom: Record<string, unknown> | null | undefined, ...kinds: string[]): boolean {
  return kinds.some((kind) => {
    const source = valueFrom?.[kind]
    return (
      typeof source === 'object' && source !== null && (source as { optional?: unknown }).optional !== true
    )
  })
}
