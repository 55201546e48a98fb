/** Kubernetes' quantities: `984Mi`, `500m`, `1`. Used by posted.ts. */

const suffixes: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
}

/** The number that `text` stands for (bytes of memory, processors of cpu), or undefined when it is not a quantity. */
export function parseQuantity(text: unknown): number | undefined {
  if (typeof text === 'number') return Number.isFinite(text) ? text : undefined
  if (typeof text !== 'string') return undefined
  const found = /^(\d+(?:\.\d*)?|\.\d+)(?:([eE][+-]?\d+)|([mkMGTP]|[KMGTP]i))?$/.exec(text)
  if (found === null) return undefined
  const [, digits = '', exponent = '', suffix = ''] = found
  return Number(digits + exponent) * (suffixes[suffix] as number)
}
