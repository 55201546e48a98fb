/**
 * What shim and agent tell each other over the control stream (port 1 of the driver's
 * address, class urgent). The shim opens it; both ends check what comes against these
 * schemas. Used by executor-shim and driver-agent.
 */
import * as z from 'zod'

/** Virtual port reserved for control streams; Spark never uses ports below 1024. */
export const CONTROL_PORT = 1

/** The longest list and the longest text of a message: what comes may be of job code and not of a shim. */
export const MAX_LIST = 10_000
export const MAX_TEXT = 64 * 1024

export const shimMessage = z.discriminatedUnion('is', [
  /** First message. `sparkVersion` is the one that the function has. */
  z.object({
    is: z.literal('started'),
    pod: z.string(),
    uid: z.string(),
    address: z.string(),
    sparkVersion: z.string(),
    shimPid: z.number(),
    residentBytes: z.number(),
    /** ms from the shim process's start to both classes attached. */
    attachedMs: z.number(),
  }),
  z.object({ is: z.literal('jvm-running'), pid: z.number() }),
  /** First stream to the driver's RPC port was opened. */
  z.object({ is: z.literal('rpc-opened') }),
  z.object({ is: z.literal('draining'), reason: z.string() }),
  /** `lastLines`: the end of the JVM's log. `code` null: a signal. */
  z.object({
    is: z.literal('exited'),
    code: z.number().nullable(),
    signal: z.string().nullable(),
    lastLines: z.array(z.string()),
    maxResidentBytes: z.number(),
  }),
  /** WARN and worse for the driver's stderr; `dropped` lines were over the cap. */
  z.object({ is: z.literal('log'), lines: z.array(z.string()), dropped: z.number() }),
  /** Each 2 s while bytes move, less often with more than 100 peers, and once at the end. */
  z.object({
    is: z.literal('traffic'),
    peers: z.array(
      z.object({ peer: z.string(), sentBytes: z.number(), receivedBytes: z.number(), streams: z.number() }),
    ),
    resumes: z.number(),
    shimResidentBytes: z.number(),
  }),
])
export type ShimMessage = z.infer<typeof shimMessage>

export const agentMessage = z.discriminatedUnion('is', [
  /** End now: SIGTERM to the JVM, SIGKILL after `graceMs`. */
  z.object({ is: z.literal('stop'), reason: z.string(), graceMs: z.number() }),
  /** Take no new tasks, move blocks away, exit 0 (SIGPWR). */
  z.object({ is: z.literal('drain'), reason: z.string() }),
  z.object({ is: z.literal('token'), token: z.string() }),
])
export type AgentMessage = z.infer<typeof agentMessage>
