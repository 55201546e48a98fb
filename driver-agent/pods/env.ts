/** The environment of a container as plain values. Used by table.ts when a function starts. */
import type { PodObject } from './object.ts'
import type { EnvEntry, PostedPod } from './posted.ts'

/**
 * Resolves fieldRefs and resourceFieldRefs, and `$(NAME)` of variables further up, as a kubelet
 * does. Optional references to secrets and config maps are left out; needed ones made the pod unfit.
 */
export function resolveEnv(posted: PostedPod, pod: PodObject, address: string): Record<string, string> {
  const resolved = new Map<string, string>()
  for (const entry of posted.env) {
    const value = readValue(entry, posted, pod, address)
    if (value !== undefined) resolved.set(entry.name, expand(value, resolved))
  }
  return Object.fromEntries(resolved)
}

function readValue(entry: EnvEntry, posted: PostedPod, pod: PodObject, address: string): string | undefined {
  const from = entry.valueFrom
  if (from === null || from === undefined) return entry.value ?? ''
  const field = from.fieldRef as { fieldPath?: unknown } | undefined
  if (typeof field?.fieldPath === 'string') return readField(field.fieldPath, pod, address)
  const resource = from.resourceFieldRef as { resource?: unknown } | undefined
  switch (resource?.resource) {
    case 'limits.memory':
    case 'requests.memory':
      return String(posted.memoryBytes)
    case 'limits.cpu':
    case 'requests.cpu':
      return String(Math.ceil(posted.cpus))
    default:
      return undefined
  }
}

function readField(path: string, { metadata }: PodObject, address: string): string | undefined {
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path)
  if (keyed !== null) return metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2] as string] ?? ''
  switch (path) {
    case 'status.podIP':
    case 'status.podIPs':
    case 'status.hostIP':
      return address
    case 'metadata.name':
    case 'metadata.namespace':
    case 'metadata.uid':
      return metadata[path.slice('metadata.'.length) as 'name' | 'namespace' | 'uid']
    case 'spec.nodeName':
    case 'spec.serviceAccountName':
      return ''
    default:
      return undefined
  }
}

/** `$(NAME)` becomes the value of an earlier variable, `$$(` is a plain `$(`, what is unknown stays. */
function expand(value: string, earlier: ReadonlyMap<string, string>): string {
  return value.replaceAll(/\$\$|\$\(([^)]+)\)/g, (all, name: string | undefined) =>
    name === undefined ? '$' : (earlier.get(name) ?? all),
  )
}
