/** Patches as the Kubernetes API takes them. */
export type Patch =
  /** RFC 7386, and strategic merge patches, which are the same for maps. */
  | { readonly is: 'merge'; readonly body: unknown }
  /** RFC 6902. */
  | { readonly is: 'json'; readonly body: unknown }

export function applyPatch(_target: unknown, _patch: Patch): unknown {
  throw new Error('applyPatch is being written')
}
