/**
 * Kinds that Spark may create beside its pods and never reads back: they are echoed, and
 * nothing is kept. Used by routes.ts.
 */
import { randomUUID } from 'node:crypto'
import { type Answer, failure, HttpError, success } from './answer.ts'
import type { Call } from './request.ts'
import type { RouteContext } from './routes.ts'

export const otherKinds: Readonly<Record<string, string>> = {
  configmaps: 'ConfigMap',
  services: 'Service',
  persistentvolumeclaims: 'PersistentVolumeClaim',
}

export async function createOther({ pods }: RouteContext, call: Call, kind: string): Promise<Answer> {
  if (kind === 'persistentvolumeclaims') {
    return failure(
      422,
      'Invalid',
      'functions have no persistent volumes: an executor has one disk, with its work folder and SPARK_LOCAL_DIRS',
    )
  }
  const body = (await call.body()) as { metadata?: object } | null | undefined
  if (typeof body !== 'object' || body === null || typeof body.metadata !== 'object') {
    throw new HttpError(422, 'Invalid', `${otherKinds[kind]} is invalid: metadata: is missing`)
  }
  const metadata = {
    ...body.metadata,
    namespace: pods.namespace,
    uid: randomUUID(),
    resourceVersion: pods.resourceVersion,
    creationTimestamp: `${new Date().toISOString().slice(0, 19)}Z`,
  }
  return { http: 201, body: { apiVersion: 'v1', kind: otherKinds[kind], ...body, metadata } }
}

export function listOthers({ pods }: RouteContext, _call: Call, kind: string): Answer {
  const metadata = { resourceVersion: pods.resourceVersion }
  return { http: 200, body: { kind: `${otherKinds[kind]}List`, apiVersion: 'v1', metadata, items: [] } }
}

export function getOther(_context: RouteContext, _call: Call, kind: string, name: string): Answer {
  return failure(404, 'NotFound', `${kind} "${name}" not found`)
}

/** Of one or of many: nothing was kept, so all of it is gone. */
export function deleteOthers(): Answer {
  return success()
}
