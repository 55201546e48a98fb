/** Options of `doctor`. The type is what cli/doctor/run.ts gets. */
import { submitOptions } from './agent.ts'
import { toggle } from './kinds.ts'
import type { OptionsOf, OptionTable } from './option.ts'

export const doctorOptions = {
  sparkVersion: {
    ...submitOptions.sparkVersion,
    says: 'Spark that you mean to run when SPARK_HOME is not set',
  },
  json: toggle('--json', { says: 'prints the findings as JSON' }),
} satisfies OptionTable

export type DoctorOptions = OptionsOf<typeof doctorOptions>
