/**
 * Loaded into each thread of an endpoint of ours (`--import`): its WebSocket links have zero masks without TLS too,
 * so that native links have their like. For the bench only: on a plain path whoever reads along could choose bytes.
 */
import * as ws from 'ws'

interface FrameOptions {
  generateMask?: (mask: Buffer) => void
}

/** What ws frames its messages with; its types leave it out. */
interface SenderClass {
  frame(data: unknown, options: FrameOptions): unknown
}

const { Sender } = ws as unknown as { readonly Sender: SenderClass }
const { frame } = Sender
Sender.frame = (data, options) => {
  options.generateMask = zeroMask // the object is made anew for each frame
  return frame(data, options)
}

function zeroMask(mask: Buffer): void {
  mask.fill(0)
}
