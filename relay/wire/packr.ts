/** The one way in which this project writes and reads msgpack: plain values only. Used by control.ts and by loopback's messages. */
// Not 'msgpackr': that loads streams and a native decoder of strings, 7 MiB of every function's memory for
// frames of some dozen bytes. Its strings are slices, too, which keep the whole text of their frame.
import { Packr } from 'msgpackr/pack'

/** What comes from a peer is looked over by `isPlainMsgpack` before it is decoded. */
export const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' })
