/** Waits for others on the machine to come to rest. Used before each run that counts. */
import { readMachineUsage, takenS } from './machine-usage.ts'

const LOOK_MS = 300
const LIMIT_MS = 5_000

/** Resolves when others keep fewer than `cores` busy, after 5 s at the latest: the run itself is judged too. */
export async function waitUntilQuiet(cores: number): Promise<void> {
  const deadline = Date.now() + LIMIT_MS
  while (Date.now() < deadline) {
    const before = takenS(readMachineUsage())
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    if ((takenS(readMachineUsage()) - before) / (LOOK_MS / 1_000) < cores) return
  }
}
