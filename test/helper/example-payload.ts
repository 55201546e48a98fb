/** A function's payload, whole and valid, with what a test wants otherwise. */
import type { FunctionPayload } from '../../executor-shim/payload.ts'

export function examplePayload(
  changes: Partial<Omit<FunctionPayload, 'pod'>> & { readonly pod?: Partial<FunctionPayload['pod']> } = {},
): FunctionPayload {
  const { pod, ...rest } = changes
  return {
    version: 1,
    app: 'spark-example',
    address: '127.64.0.2',
    driverAddress: '127.64.0.1',
    token: 'a-token-that-nobody-must-see',
    relays: ['unix:/nonexistent/relay.sock'],
    ports: { driverRpc: 7077, driverBlocks: 7078, executorBlocks: 7079 },
    sparkVersion: '4.3.0',
    confDir: {},
    maxLifetimeMs: 60_000,
    ...rest,
    pod: {
      name: 'example-exec-1',
      uid: 'uid-1',
      namespace: 'default',
      labels: {},
      env: {},
      memoryBytes: 512 * 1024 * 1024,
      cpus: 1,
      ...pod,
    },
  }
}
