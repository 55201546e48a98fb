/**
 * Label and field selectors of the Kubernetes API: `a=b,c!=d,e in (f,g),h notin (i),j,!k` and
 * `status.phase=Running`. Ignoring one gets the wrong pods deleted, so what cannot be read is
 * refused. Used by facade/ and the change log.
 */
import { PodsError } from './errors.ts'
import type { PodObject } from './object.ts'

type LabelRequirement =
  | { readonly is: 'in' | 'not-in'; readonly key: string; readonly values: readonly string[] }
  | { readonly is: 'present' | 'absent'; readonly key: string }

interface FieldRequirement {
  readonly path: keyof typeof fields
  readonly equals: boolean
  readonly value: string
}

export interface PodSelector {
  readonly labels: readonly LabelRequirement[]
  readonly fields: readonly FieldRequirement[]
}

const fields = {
  'metadata.name': (pod: PodObject) => pod.metadata.name,
  'metadata.namespace': (pod: PodObject) => pod.metadata.namespace,
  'metadata.uid': (pod: PodObject) => pod.metadata.uid,
  'status.phase': (pod: PodObject) => pod.status.phase as string,
  'status.podIP': (pod: PodObject) => pod.status.podIP ?? '',
  'spec.nodeName': () => '',
} as const

/** Reads the query's `labelSelector` and `fieldSelector`; absent or empty selects all. Throws PodsError `bad-request`. */
export function parseSelector(labels: string | undefined, fieldText: string | undefined): PodSelector {
  return {
    labels: splitTerms(labels ?? '').map(parseLabel),
    fields: splitTerms(fieldText ?? '').map(parseField),
  }
}

/** Whether `pod` meets all requirements; `labels` stand in for the pod's own when given. */
export function selects(
  selector: PodSelector,
  pod: PodObject,
  labels: Readonly<Record<string, string>> = pod.metadata.labels,
): boolean {
  return (
    selector.labels.every((requirement) => meetsLabel(requirement, labels)) &&
    selector.fields.every(({ path, equals, value }) => (fields[path](pod) === value) === equals)
  )
}

function meetsLabel(requirement: LabelRequirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined
  switch (requirement.is) {
    case 'present':
      return value !== undefined
    case 'absent':
      return value === undefined
    case 'in':
      return value !== undefined && requirement.values.includes(value)
    case 'not-in':
      // A pod without the label meets `!=` and `notin`: Spark's `spark-exec-inactive!=true` rests on it.
      return value === undefined || !requirement.values.includes(value)
  }
}

/** Splits at commas outside parentheses. */
function splitTerms(text: string): string[] {
  const terms: string[] = []
  let depth = 0
  let from = 0
  for (let at = 0; at <= text.length; at += 1) {
    const character = text[at]
    if (character === '(') depth += 1
    else if (character === ')') depth -= 1
    else if (character === undefined || (character === ',' && depth === 0)) {
      terms.push(text.slice(from, at).trim())
      from = at + 1
    }
  }
  if (depth !== 0) throw new PodsError('bad-request', `selector "${text}": a parenthesis is not closed`)
  if (terms.length === 1 && terms[0] === '') return []
  return terms
}

const key = '[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?'
const value = '(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?'
const setTerm = new RegExp(`^(${key})\\s+(in|notin)\\s*\\(([^()]*)\\)$`)
const equalTerm = new RegExp(`^(${key})\\s*(=|==|!=)\\s*(${value})$`)
const presentTerm = new RegExp(`^(!?)\\s*(${key})$`)
const valueAlone = new RegExp(`^${value}$`)

function parseLabel(term: string): LabelRequirement {
  const equal = equalTerm.exec(term)
  if (equal !== null) {
    const [, name = '', operator, wanted = ''] = equal
    return { is: operator === '!=' ? 'not-in' : 'in', key: name, values: [wanted] }
  }
  const set = setTerm.exec(term)
  if (set !== null) {
    const [, name = '', operator, list = ''] = set
    const values = list.split(',').map((item) => item.trim())
    if (values.every((item) => valueAlone.test(item))) {
      return { is: operator === 'in' ? 'in' : 'not-in', key: name, values }
    }
  }
  const present = presentTerm.exec(term)
  if (present !== null) {
    const [, not, name = ''] = present
    return { is: not === '!' ? 'absent' : 'present', key: name }
  }
  throw new PodsError('bad-request', `unable to parse requirement "${term}" of the label selector`)
}

function parseField(term: string): FieldRequirement {
  const found = /^([^=!]+?)\s*(==|=|!=)\s*(.*)$/.exec(term)
  if (found === null) throw new PodsError('bad-request', `invalid field selector "${term}"`)
  const [, path = '', operator, wanted = ''] = found
  if (!Object.hasOwn(fields, path)) throw new PodsError('bad-request', `field label not supported: ${path}`)
  return { path: path as keyof typeof fields, equals: operator !== '!=', value: wanted }
}
