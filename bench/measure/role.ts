/** Whose process it is: CPU time and memory are told apart by it. */

/**
 * relay: what forwards. sender, receiver: endpoints of the tunnel, by where the bulk flows.
 * delay: what makes round trips long; counts for nobody. load: the generator; of it CPU time only.
 * helper: what else a bench needs, such as a directory; its bench reads of it what it wants.
 */
export type Role = 'relay' | 'sender' | 'receiver' | 'delay' | 'load' | 'helper'

/** Those whose figures are a contestant's. */
export function isContestant(role: Role): boolean {
  return role === 'relay' || role === 'sender' || role === 'receiver'
}
