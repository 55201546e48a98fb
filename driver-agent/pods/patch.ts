/**
 * Patches as the Kubernetes API takes them. Pure: the target is left as it was. Used by
 * table.ts, which then takes labels and annotations out of the result.
 */
import { PodsError } from './errors.ts'

export type Patch =
  /** RFC 7386; strategic merge patches are the same where there are only maps. */
  | { readonly is: 'merge'; readonly body: unknown }
  /** RFC 6902: add, replace, remove, test. fabric8's `edit` sends these. */
  | { readonly is: 'json'; readonly body: unknown }

/** `target` with the patch on it. Throws PodsError `invalid`. */
export function applyPatch(target: unknown, patch: Patch): unknown {
  if (patch.is === 'merge') return mergePatch(target, patch.body)
  if (!Array.isArray(patch.body)) throw new PodsError('invalid', 'a JSON patch is a list of operations')
  return patch.body.reduce(applyOperation, structuredClone(target))
}

type Tree = Record<string, unknown>

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isTree(patch)) return patch
  const merged = new Map(isTree(target) ? Object.entries(target) : [])
  for (const [name, value] of Object.entries(patch)) {
    // `$patch`, `$setElementOrder` …: directives of strategic merges, about lists, which we do not change.
    if (name.startsWith('$')) continue
    if (value === null) merged.delete(name)
    else merged.set(name, mergePatch(merged.get(name), value))
  }
  // fromEntries defines a member named __proto__, where an assignment would change the prototype.
  return Object.fromEntries(merged)
}

function applyOperation(tree: unknown, operation: unknown): unknown {
  if (!isTree(operation) || typeof operation.path !== 'string') {
    throw new PodsError('invalid', 'an operation of a JSON patch has "op" and "path"')
  }
  const { op, path } = operation
  const steps = path
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  const last = steps.pop()
  if (last === undefined || last === '__proto__') {
    throw new PodsError('invalid', `JSON patch: "${path}" cannot be changed`)
  }
  let parent: unknown = tree
  for (const step of steps) parent = step === '__proto__' ? undefined : childOf(parent, step)
  if (!isTree(parent)) throw new PodsError('invalid', `JSON patch: nothing holds "${path}"`)
  const there = Object.hasOwn(parent, last)
  switch (op) {
    case 'add':
      parent[last] = operation.value
      return tree
    case 'replace':
      if (!there) throw new PodsError('invalid', `JSON patch: there is no "${path}" to replace`)
      parent[last] = operation.value
      return tree
    case 'remove':
      if (!there) throw new PodsError('invalid', `JSON patch: there is no "${path}" to remove`)
      delete parent[last]
      return tree
    case 'test':
      if (!there || JSON.stringify(parent[last]) !== JSON.stringify(operation.value)) {
        throw new PodsError('invalid', `JSON patch: the test of "${path}" failed`)
      }
      return tree
    default:
      throw new PodsError('invalid', `JSON patch: "op" must be add, replace, remove or test`)
  }
}

function childOf(parent: unknown, step: string): unknown {
  if (Array.isArray(parent)) return parent[Number(step)]
  return isTree(parent) && Object.hasOwn(parent, step) ? parent[step] : undefined
}
