/** What the tunnel rests on: addresses, ports, the facade. Part of the settings table. */
import { type Context, isTrue, type Row } from '../row.ts'

const tunnel = 'executors reach the driver through the relay, at this address and port'
const onePort = 'every executor listens on this one port, behind an address of its own'

function enforced(key: string, why: string, value: (context: Context) => string, since?: number): Row {
  return { key, kind: 'enforced', why, value, ...(since === undefined ? {} : { since }) }
}

export const network: readonly Row[] = [
  enforced(
    'spark.master',
    'executors are functions, which the agent starts',
    ({ input }) => `k8s://${input.facadeUrl}`,
  ),
  enforced('spark.submit.deployMode', 'the driver runs on this machine', () => 'client'),
  enforced('spark.driver.host', tunnel, ({ input }) => input.driverAddress),
  enforced(
    'spark.driver.bindAddress',
    'the agent delivers connections there',
    ({ input }) => input.bindAddress,
  ),
  enforced('spark.driver.port', tunnel, ({ input }) => String(input.ports.driverRpc)),
  enforced('spark.driver.blockManager.port', tunnel, ({ input }) => String(input.ports.driverBlocks)),
  enforced('spark.blockManager.port', onePort, ({ input }) => String(input.ports.executorBlocks)),
  enforced('spark.port.maxRetries', 'on another port nobody would be reached', () => '0'),
  enforced('spark.kubernetes.namespace', 'the agent serves this one', ({ input }) => input.namespace),
  enforced(
    'spark.kubernetes.authenticate.oauthTokenFile',
    'the agent answers nobody without its token',
    ({ input }) => input.tokenFile,
  ),
  enforced(
    'spark.kubernetes.executor.useDriverPodIP',
    'executors would be told the address that the driver binds',
    () => 'false',
    4,
  ),
  enforced(
    'spark.kubernetes.executor.disableConfigMap',
    'SPARK_CONF_DIR is sent with the start',
    () => 'true',
  ),
  enforced('spark.kubernetes.driver.service.deleteOnTermination', 'the driver has no service', () => 'false'),
  enforced(
    'spark.kubernetes.driver.ownPersistentVolumeClaim',
    'functions have no persistent volumes',
    () => 'false',
  ),
  {
    key: 'spark.kubernetes.container.image',
    kind: 'defaulted',
    why: 'Spark wants a name; a function has its own image',
    value: () => 'spark-lambda-relay',
  },
  {
    key: 'spark.authenticate',
    kind: 'defaulted',
    why: 'any user of this machine can reach the driver',
    value: () => 'true',
  },
  {
    key: 'spark.network.crypto.enabled',
    kind: 'defaulted',
    why: 'the relay need not see what it carries',
    // Spark refuses encryption without authentication.
    value: (context) => (isTrue(context.get('spark.authenticate')) ? 'true' : undefined),
  },
  {
    key: 'spark.ui.port',
    kind: 'defaulted',
    why: 'maxRetries=0 holds for the UI too, and its failure ends the driver',
    value: ({ input }) => String(input.uiPort),
  },
  {
    key: 'spark.ui.custom.executor.log.url',
    kind: 'defaulted',
    why: 'logs of executors lie on this machine',
    value: ({ input }) => input.executorLogUrl,
  },
  {
    key: 'spark.shuffle.io.retryWait',
    kind: 'defaulted',
    why: 'a dead executor is reset at once; with authentication on, Spark takes that for a failure worth 3 tries',
    value: () => '1s',
  },
]
