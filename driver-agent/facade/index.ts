/** The Kubernetes facade. Used by driver-agent/agent.ts. */
export { startFacade } from './facade.ts'
export type { CallsSeen, Facade, FacadeOptions } from './types.ts'
