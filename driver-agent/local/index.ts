/**
 * The local function provider: one executor is one process tree in namespaces of its own on
 * this machine. Used by driver-agent/agent.ts; the probe also by `doctor`.
 */

export { type ProbeResult, probeNamespaces } from './probe.ts'
export { createLocalProvider, type LocalProviderOptions } from './provider.ts'
