/** The Kubernetes API, as far as Spark calls it. */
import type { Facade, FacadeOptions } from './types.ts'

/** Listens on 127.0.0.1 and answers until close(). Rejects when the port is taken. */
export async function startFacade(_options: FacadeOptions): Promise<Facade> {
  throw new Error('startFacade is being written')
}
