/** Says whether this machine lets us isolate functions, and if not, how to mend it. For `doctor` and the agent. */
export type ProbeResult =
  | { readonly ok: true; readonly mode: 'root' | 'user' }
  | { readonly ok: false; readonly cause: string; readonly remedy: string }

export async function probeNamespaces(): Promise<ProbeResult> {
  throw new Error('not built yet')
}
