/** Calls that concern pods: query and body into the table of pods, its objects out. Used by routes.ts. */
import { type Patch, type PodSelector, parseSelector } from '../pods/index.ts'
import { type Answer, failure, HttpError, success } from './answer.ts'
import type { Call } from './request.ts'
import type { RouteContext } from './routes.ts'
import { streamWatch } from './watch.ts'

/** A timer of more than 2^31 ms would run at once. */
const LONGEST_WATCH_MS = 24 * 3_600_000

/** GET of the collection: a list, or with `watch` a stream; undefined: the response has been taken over. */
export function listOrWatch(
  { pods, response, clock, logger }: RouteContext,
  { query }: Call,
): Answer | undefined {
  const selector = selectorOf(query)
  if (isTrue(query.get('watch'))) {
    if (query.has('sendInitialEvents')) {
      // As API servers without the feature do; clients then list and watch.
      return failure(422, 'Invalid', 'sendInitialEvents is not supported: list, then watch')
    }
    // 0 is no limit, as with an API server: a watch that ended at once would be asked for again at once.
    const seconds = readSeconds(query.get('timeoutSeconds'), 'timeoutSeconds') || undefined
    streamWatch({
      pods,
      selector,
      resourceVersion: query.get('resourceVersion') ?? undefined,
      timeoutMs: seconds === undefined ? undefined : Math.min(seconds * 1_000, LONGEST_WATCH_MS),
      response,
      clock,
      logger,
    })
    return undefined
  }
  const body = {
    kind: 'PodList',
    apiVersion: 'v1',
    metadata: { resourceVersion: pods.resourceVersion },
    items: pods.list(selector),
  }
  return { http: 200, body }
}

export async function createPod({ pods }: RouteContext, call: Call): Promise<Answer> {
  refuseDryRun(call.query)
  return { http: 201, body: pods.create(await call.body()) }
}

export function getPod({ pods }: RouteContext, _call: Call, name: string): Answer {
  const pod = pods.get(name)
  // Also the answer to a GET of the driver's pod: there is none, Spark runs in client mode.
  return pod === undefined ? absent(name) : { http: 200, body: pod }
}

export async function deletePod({ pods }: RouteContext, call: Call, name: string): Promise<Answer> {
  const options = await readDeleteOptions(call)
  const pod = pods.get(name)
  if (pod === undefined) return absent(name)
  const { uid } = pod.metadata
  if (options.uid !== undefined && options.uid !== uid) {
    return failure(
      409,
      'Conflict',
      `the UID in the precondition (${options.uid}) is not that of pods "${name}"`,
    )
  }
  // The pod as it is on its way out, which is what an API server answers: Spark's clients take a
  // Status as well, but the Python client refuses one.
  return { http: 200, body: pods.remove(name, options.graceSeconds) }
}

export async function deletePods({ pods }: RouteContext, call: Call): Promise<Answer> {
  const options = await readDeleteOptions(call)
  for (const { metadata } of pods.list(selectorOf(call.query)))
    pods.remove(metadata.name, options.graceSeconds)
  return success()
}

const patchKinds: Readonly<Record<string, Patch['is']>> = {
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'merge',
  'application/json-patch+json': 'json',
}

export async function patchPod({ pods }: RouteContext, call: Call, name: string): Promise<Answer> {
  refuseDryRun(call.query)
  const is = patchKinds[call.contentType]
  if (is === undefined) {
    const allowed = Object.keys(patchKinds).join(', ')
    return failure(
      415,
      'UnsupportedMediaType',
      `patches of type "${call.contentType}" are not supported: use ${allowed}`,
    )
  }
  return { http: 200, body: pods.patch(name, { is, body: await call.body() }) }
}

function absent(name: string): Answer {
  return failure(404, 'NotFound', `pods "${name}" not found`)
}

function selectorOf(query: URLSearchParams): PodSelector {
  return parseSelector(query.get('labelSelector') ?? undefined, query.get('fieldSelector') ?? undefined)
}

function isTrue(text: string | null): boolean {
  return text === 'true' || text === '1'
}

function refuseDryRun(query: URLSearchParams): void {
  // Ignoring it would start a function.
  if (query.has('dryRun')) throw new HttpError(400, 'BadRequest', 'dryRun is not supported')
}

interface DeleteOptions {
  readonly graceSeconds: number | undefined
  readonly uid: string | undefined
}

async function readDeleteOptions(call: Call): Promise<DeleteOptions> {
  refuseDryRun(call.query)
  const body = (await call.body()) as
    | {
        gracePeriodSeconds?: unknown
        preconditions?: { uid?: unknown }
        dryRun?: unknown
      }
    | null
    | undefined
  if (body?.dryRun !== undefined) throw new HttpError(400, 'BadRequest', 'dryRun is not supported')
  const grace = call.query.get('gracePeriodSeconds') ?? body?.gracePeriodSeconds
  const uid = body?.preconditions?.uid
  return {
    graceSeconds: readSeconds(grace ?? null, 'gracePeriodSeconds'),
    uid: typeof uid === 'string' ? uid : undefined,
  }
}

function readSeconds(value: unknown, name: string): number | undefined {
  if (value === null) return undefined
  const seconds = typeof value === 'string' && value !== '' ? Number(value) : value
  if (typeof seconds !== 'number' || !Number.isInteger(seconds) || seconds < 0) {
    throw new HttpError(400, 'BadRequest', `${name} must be a whole number of seconds, 0 or more`)
  }
  return seconds
}
