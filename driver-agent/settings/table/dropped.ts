/** What a cluster has and functions do not, and a job can do without. Part of the settings table. */
import type { Row } from '../row.ts'

const ownAccess = 'the agent answers on this machine with a token of its own'
const noVolume = 'an executor sees no disk but its own'
const noConfigMap = 'there is no cluster whose config maps could be read; put the file into SPARK_CONF_DIR'

function dropped(key: string, why: string): Row {
  return { key, kind: 'dropped', why }
}

export const droppedRows: readonly Row[] = [
  dropped(
    'spark.kubernetes.driver.pod.name',
    'the driver is no pod, and Spark ends when it finds none of that name',
  ),
  dropped('spark.kubernetes.context', ownAccess),
  dropped('spark.kubernetes.authenticate.oauthToken', ownAccess),
  dropped('spark.kubernetes.authenticate.caCertFile', ownAccess),
  dropped('spark.kubernetes.authenticate.clientKeyFile', ownAccess),
  dropped('spark.kubernetes.authenticate.clientCertFile', ownAccess),
  dropped('spark.kubernetes.executor.volumes.hostPath.*', noVolume),
  dropped('spark.kubernetes.executor.volumes.nfs.*', noVolume),
  dropped(
    'spark.kubernetes.executor.volumes.emptyDir.*',
    'an executor has one disk, with its work folder and SPARK_LOCAL_DIRS, and nothing is mounted elsewhere',
  ),
  dropped('spark.kubernetes.hadoop.configMapName', noConfigMap),
  dropped('spark.kubernetes.executor.hadoopConfigMapName', noConfigMap),
  dropped('spark.kubernetes.kerberos.krb5.configMapName', noConfigMap),
]
