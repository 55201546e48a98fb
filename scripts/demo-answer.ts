/**
 * The demo's answer, computed without Spark: the same arithmetic as demo/job.py in plain
 * loops. Used by scripts/demo.ts, which compares the two.
 */
import { createHash } from 'node:crypto'
import * as z from 'zod'

export const demoResult = z.object({
  sparkVersion: z.string(),
  regions: z.array(
    z.object({
      region: z.number(),
      orders: z.number(),
      amount: z.number(),
      receipt: z.string(),
      map_length: z.number(),
    }),
  ),
  /** customer, orders, amount, largest receipt; the largest amount first. */
  customers: z.array(z.tuple([z.number(), z.number(), z.number(), z.string()])),
  /** Orders whose receipt begins with 0000, in the order of receipts. */
  firstByReceipt: z.array(z.number()),
  seconds: z.record(z.string(), z.number()),
})
export type DemoResult = z.infer<typeof demoResult>
export type DemoAnswer = Pick<DemoResult, 'regions' | 'customers' | 'firstByReceipt'>

/** `orderCount` × 104,729 must stay below 2^53. */
export function demoAnswer(orderCount: number, customerCount: number): DemoAnswer {
  const orders = new Float64Array(customerCount)
  const amounts = new Float64Array(customerCount)
  const receipts = new Array<string>(customerCount).fill('')
  const low: { order: number; receipt: string }[] = []
  for (let order = 0; order < orderCount; order += 1) {
    const customer = (order * 7919) % customerCount
    const receipt = createHash('sha512').update(String(order)).digest('hex')
    orders[customer] = (orders[customer] ?? 0) + 1
    amounts[customer] = (amounts[customer] ?? 0) + ((order * 104_729) % 10_007)
    if (receipt > (receipts[customer] ?? '')) receipts[customer] = receipt
    if (receipt.startsWith('0000')) low.push({ order, receipt })
  }
  const regions = Array.from({ length: 7 }, (_, region) => ({
    region,
    orders: 0,
    amount: 0,
    receipt: '',
    map_length: 128 * 200,
  }))
  const customers: DemoAnswer['customers'] = []
  for (let customer = 0; customer < customerCount; customer += 1) {
    const region = regions[((customer * 31) % 97) % 7]
    const receipt = receipts[customer] ?? ''
    const [count, amount] = [orders[customer] ?? 0, amounts[customer] ?? 0]
    if (region === undefined || count === 0) continue
    region.orders += count
    region.amount += amount
    if (receipt > region.receipt) region.receipt = receipt
    customers.push([customer, count, amount, receipt])
  }
  customers.sort((a, b) => b[2] - a[2] || a[0] - b[0])
  low.sort((a, b) => (a.receipt < b.receipt ? -1 : 1))
  return { regions, customers, firstByReceipt: low.map(({ order }) => order) }
}

/** The first difference in a sentence; undefined when Spark is right. */
export function compareAnswers(spark: DemoAnswer, own: DemoAnswer): string | undefined {
  for (const part of ['regions', 'customers', 'firstByReceipt'] as const) {
    const [theirs, ours] = [spark[part], own[part]]
    if (theirs.length !== ours.length)
      return `${part}: Spark has ${theirs.length} rows, there are ${ours.length}`
    for (let index = 0; index < ours.length; index += 1) {
      const [got, wanted] = [sorted(theirs[index]), sorted(ours[index])]
      if (got !== wanted) return `${part}, row ${index}: Spark says ${got}, it is ${wanted}`
    }
  }
  return undefined
}

function sorted(value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value)
  return JSON.stringify(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))))
}
