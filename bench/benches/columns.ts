/** Columns that several benches have. */
import type { Column } from '../bench.ts'

export const relayCpu: Column = { key: 'relayCpuSGib', head: 'relay CPU-s/GiB', digits: 3, better: 'less' }
export const senderCpu: Column = { key: 'senderCpuSGib', head: 'sender CPU-s/GiB', digits: 3, better: 'less' }
export const receiverCpu: Column = {
  key: 'receiverCpuSGib',
  head: 'receiver CPU-s/GiB',
  digits: 3,
  better: 'less',
}
export const throughput: Column = { key: 'mibS', head: 'MiB/s', digits: 0, better: 'more' }
export const p50Us: Column = { key: 'p50Us', head: 'p50 µs', digits: 0, better: 'less' }
export const p99Us: Column = { key: 'p99Us', head: 'p99 µs', digits: 0, better: 'less' }
export const maxUs: Column = { key: 'maxUs', head: 'max µs', digits: 0, better: 'less' }
export const p50Ms: Column = { key: 'p50Ms', head: 'p50 ms', digits: 1, better: 'less' }
export const p99Ms: Column = { key: 'p99Ms', head: 'p99 ms', digits: 1, better: 'less' }
/** A time of a bench with Spark. */
export const seconds = (key: string, head: string): Column => ({ key, head, digits: 1, better: 'less' })
