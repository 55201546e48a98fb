/** Label and field selectors of the Kubernetes API. */
import type { PodObject } from './object.ts'

export interface PodSelector {
  readonly requirements: readonly unknown[]
}

export function parseSelector(_labels: string | undefined, _fields: string | undefined): PodSelector {
  throw new Error('parseSelector is being written')
}

export function selects(_selector: PodSelector, _pod: PodObject): boolean {
  throw new Error('selects is being written')
}
