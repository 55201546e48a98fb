/**
 * What kubectl and client libraries ask before they ask for pods. Spark asks none of it.
 * Used by routes.ts.
 */

interface Resource {
  readonly name: string
  readonly singularName: string
  readonly kind: string
  readonly namespaced: boolean
  readonly verbs: readonly string[]
  readonly shortNames?: readonly string[]
}

const resources: readonly Resource[] = [
  {
    name: 'pods',
    singularName: 'pod',
    kind: 'Pod',
    namespaced: true,
    verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'watch'],
    shortNames: ['po'],
  },
  {
    name: 'namespaces',
    singularName: 'namespace',
    kind: 'Namespace',
    namespaced: false,
    verbs: ['get', 'list'],
  },
]

export const coreResources = { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: 'v1', resources }

export const coreVersions = { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }

export const groups = { kind: 'APIGroupList', apiVersion: 'v1', groups: [] }

/** Of the API whose manners we have; the name says that there is no cluster. */
export const version = {
  major: '1',
  minor: '33',
  gitVersion: 'v1.33.0+spark-lambda-relay',
  gitCommit: '',
  gitTreeState: '',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
}

export function namespaceObject(name: string): unknown {
  return { kind: 'Namespace', apiVersion: 'v1', metadata: { name }, spec: {}, status: { phase: 'Active' } }
}
