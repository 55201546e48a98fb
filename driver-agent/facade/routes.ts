/**
 * The calls that are answered: SPARK.md, "The calls", and as much discovery as kubectl and an
 * ordinary client library need. Everything else is refused by name. Used by facade.ts.
 */
import type { ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import type { Clock } from '../../relay/time/clock.ts'
import type { Pods } from '../pods/index.ts'
import { type Answer, failure, unknownPath } from './answer.ts'
import { coreResources, coreVersions, groups, namespaceObject, version } from './discovery.ts'
import { createOther, deleteOthers, getOther, listOthers, otherKinds } from './other-routes.ts'
import { createPod, deletePod, deletePods, getPod, listOrWatch, patchPod } from './pods-routes.ts'
import type { Call } from './request.ts'

export interface RouteContext {
  readonly pods: Pods
  readonly response: ServerResponse
  readonly clock: Clock
  readonly logger: Logger
}

/** Undefined: the response has been taken over. */
type Result = Answer | undefined | Promise<Answer | undefined>

/** Answers one call. Rejects with HttpError or PodsError. */
export async function route(context: RouteContext, call: Call): Promise<Answer | undefined> {
  const [root, ...rest] = call.path
  if (root === 'api' && rest[0] === 'v1' && rest.length > 1) return routeCore(context, call, rest.slice(1))
  const fixed = discovery.get(call.path.join('/'))
  if (fixed === undefined) return unknownPath()
  return call.method === 'GET' ? { http: 200, body: fixed } : wrongMethod(call)
}

const discovery: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['api', coreVersions],
  ['apis', groups],
  ['api/v1', coreResources],
  ['version', version],
])

function routeCore(context: RouteContext, call: Call, path: readonly string[]): Result {
  const [first, namespace, kind, name, ...more] = path
  // Of all namespaces: there is one.
  if (first === 'pods' && path.length === 1)
    return routeByMethod(call, { GET: () => listOrWatch(context, call) })
  if (first !== 'namespaces' || more.length > 0) return unknownPath()
  if (namespace === undefined) {
    const items = [namespaceObject(context.pods.namespace)]
    const body = { kind: 'NamespaceList', apiVersion: 'v1', metadata: {}, items }
    return routeByMethod(call, { GET: () => ({ http: 200, body }) })
  }
  if (namespace !== context.pods.namespace) {
    const ours = context.pods.namespace
    return failure(
      404,
      'NotFound',
      `namespaces "${namespace}" not found: spark.kubernetes.namespace is ${ours}`,
    )
  }
  if (kind === undefined) {
    return routeByMethod(call, { GET: () => ({ http: 200, body: namespaceObject(namespace) }) })
  }
  if (kind === 'pods') return routePods(context, call, name)
  if (Object.hasOwn(otherKinds, kind)) return routeOthers(context, call, kind, name)
  return unknownPath()
}

function routePods(context: RouteContext, call: Call, name: string | undefined): Result {
  if (name === undefined) {
    return routeByMethod(call, {
      GET: () => listOrWatch(context, call),
      POST: () => createPod(context, call),
      DELETE: () => deletePods(context, call),
    })
  }
  return routeByMethod(call, {
    GET: () => getPod(context, call, name),
    DELETE: () => deletePod(context, call, name),
    PATCH: () => patchPod(context, call, name),
  })
}

function routeOthers(context: RouteContext, call: Call, kind: string, name: string | undefined): Result {
  if (name === undefined) {
    return routeByMethod(call, {
      GET: () => listOthers(context, call, kind),
      POST: () => createOther(context, call, kind),
      DELETE: () => deleteOthers(),
    })
  }
  return routeByMethod(call, {
    GET: () => getOther(context, call, kind, name),
    DELETE: () => deleteOthers(),
  })
}

function routeByMethod(call: Call, handlers: Readonly<Record<string, () => Result>>): Result {
  const handler = Object.hasOwn(handlers, call.method) ? handlers[call.method] : undefined
  return handler === undefined ? wrongMethod(call) : handler()
}

function wrongMethod(call: Call): Answer {
  const message = `${call.method} of /${call.path.join('/')} is not supported`
  return failure(405, 'MethodNotAllowed', message)
}
