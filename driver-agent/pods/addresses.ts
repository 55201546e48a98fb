/**
 * Virtual addresses of executors: 127.64.0.2, .3 … through 127.127.255.255, each given out once,
 * so that a late connection to a dead executor can never reach its successor. Used by table.ts.
 */
export class Addresses {
  // 127.64.0.1 is the driver's.
  #next = 2

  take(): string {
    if (this.#next >= 2 ** 22)
      throw new Error('all 4 million virtual addresses of this application were used')
    const number = this.#next
    this.#next += 1
    return `127.${64 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`
  }
}
