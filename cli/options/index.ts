/** What the run functions of the rooms import, as types only. */
export type { AgentOptions, SubmitOptions } from './agent.ts'
export type { DoctorOptions } from './doctor.ts'
export type { ExecOptions } from './exec.ts'
export type { RelayOptions } from './relay.ts'
export type { ShimOptions } from './shim.ts'
export type { TokenOptions } from './token.ts'
export type { Address, DialSpec, ServeSpec } from './values.ts'
