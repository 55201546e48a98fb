/** A CPU profile of V8 as a flame graph: SVG text. Pure. */
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}
export interface Frame {
  readonly name: string
  readonly depth: number
  /** ms from the left edge. */
  readonly from: number
  readonly to: number
}

/** Narrower frames than this share of the whole are left out. */
const LEAST_SHARE = 0.002

/** Frames of the time that the thread was busy, widest first beside each other. Pure. */
export function framesOf(profile: CpuProfile): readonly Frame[] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const selfMs = new Map<number, number>()
  for (const [at, id] of profile.samples.entries()) {
    selfMs.set(id, (selfMs.get(id) ?? 0) + (profile.timeDeltas[at] ?? 0) / 1_000)
  }
  const totals = new Map<number, number>()
  const isIdle = (node: ProfileNode): boolean => node.callFrame.functionName === '(idle)'
  const totalOf = (node: ProfileNode): number => {
    if (isIdle(node)) return 0
    let sum = selfMs.get(node.id) ?? 0
    for (const child of node.children ?? []) sum += totalOf(nodes.get(child) as ProfileNode)
    totals.set(node.id, sum)
    return sum
  }
  const [root] = profile.nodes
  if (root === undefined) return []
  const whole = totalOf(root)
  const frames: Frame[] = []
  const place = (node: ProfileNode, depth: number, from: number): void => {
    const width = totals.get(node.id) ?? 0
    if (width < whole * LEAST_SHARE) return
    frames.push({ name: labelOf(node), depth, from, to: from + width })
    const children = (node.children ?? []).map((id) => nodes.get(id) as ProfileNode)
    children.sort((a, b) => (totals.get(b.id) ?? 0) - (totals.get(a.id) ?? 0))
    let at = from
    for (const child of children) {
      place(child, depth + 1, at)
      at += totals.get(child.id) ?? 0
    }
  }
  place(root, 0, 0)
  return frames
}

function labelOf({ callFrame }: ProfileNode): string {
  const file = callFrame.url.split('/').slice(-2).join('/')
  return `${callFrame.functionName || '(anonymous)'}${file === '' ? '' : ` ${file}:${callFrame.lineNumber + 1}`}`
}

export function flameGraph(profile: CpuProfile, title: string): string {
  const frames = framesOf(profile)
  const whole = frames[0]?.to ?? 1
  const depth = Math.max(1, ...frames.map((frame) => frame.depth + 1))
  const { document } = parseHTML('<html><body></body></html>')
  const width = 1_400
  const plot = Plot.plot({
    document: document as unknown as NonNullable<Plot.PlotOptions['document']>,
    width,
    height: 40 + depth * 17,
    marginLeft: 4,
    x: { label: `${title}: ms of CPU time`, axis: 'top' },
    y: { domain: [depth, 0], axis: null },
    marks: [
      Plot.rect(frames, {
        x1: 'from',
        x2: 'to',
        y1: 'depth',
        y2: (frame: Frame) => frame.depth + 1,
        fill: (frame: Frame) => (frame.name.includes('/') ? '#fbbf24' : '#fdba74'),
        stroke: 'white',
        title: (frame: Frame) =>
          `${frame.name}\n${(frame.to - frame.from).toFixed(0)} ms, ${((100 * (frame.to - frame.from)) / whole).toFixed(1)} %`,
      }),
      Plot.text(
        frames.filter((frame) => (frame.to - frame.from) / whole > 0.02),
        {
          x: 'from',
          y: (frame: Frame) => frame.depth + 0.5,
          // About 6 px a letter: what does not fit is in the title.
          text: (frame: Frame) =>
            frame.name.slice(0, Math.floor(((frame.to - frame.from) / whole) * (width / 6.2))),
          textAnchor: 'start',
          dx: 3,
          fontSize: 10,
        },
      ),
    ],
  })
  return plot.outerHTML
}
