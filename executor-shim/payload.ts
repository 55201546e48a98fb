/**
 * Everything a function is started with: one JSON document, because an asynchronous Lambda
 * invoke passes nothing else (ClientContext reaches synchronous invokes only). Written by
 * driver-agent, read by executor-shim; holds secrets, so never logged and never an argument.
 */
import * as z from 'zod'

const port = z.number().int().min(1).max(65535)

export const functionPayload = z.object({
  version: z.literal(1),
  app: z.string().min(1),
  /** Virtual address of this executor. */
  address: z.string(),
  driverAddress: z.string(),
  token: z.string(),
  /** Relay URLs. */
  relays: z.array(z.string()).min(1),
  /** How this function reaches relays that it cannot dial: URL to URL. */
  detours: z.record(z.string(), z.string()).optional(),
  /** PEM text of a private CA. */
  tlsCa: z.string().optional(),
  ports: z.object({ driverRpc: port, driverBlocks: port, executorBlocks: port }),
  pod: z.object({
    name: z.string(),
    uid: z.string(),
    namespace: z.string(),
    labels: z.record(z.string(), z.string()),
    /** env of the pod's container, fieldRefs already resolved to plain values. */
    env: z.record(z.string(), z.string()),
    /** Memory limit of the container, bytes. */
    memoryBytes: z.number().int().positive(),
    cpus: z.number().positive(),
  }),
  /** `spark-version` label that the function's Spark must match. */
  sparkVersion: z.string(),
  /** Files of the user's SPARK_CONF_DIR, name → base64. */
  confDir: z.record(z.string(), z.string()),
  /** How long the function may live, ms. */
  maxLifetimeMs: z.number().int().positive(),
})
export type FunctionPayload = z.infer<typeof functionPayload>
