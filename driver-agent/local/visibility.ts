/**
 * What a function sees of this machine's files, as a pure plan: some folders are hidden behind
 * empty ones, and what it needs from inside them is bound back. Used by setup-script.ts.
 */

/** A path that must not be seen, or must be although it lies under a hidden one. Real, absolute paths. */
export interface Mark {
  readonly path: string
  readonly is: 'hide' | 'keep'
  readonly kind: 'folder' | 'file'
  /** Of a hidden folder: who may write into the empty one, and how much it holds. Default: root's, 64 KiB. */
  readonly empty?: EmptyFolder
}

/** What stands in for a hidden folder. `source`: a folder of the host's instead of an empty tmpfs. */
export interface EmptyFolder {
  readonly mode: '0755' | '1777'
  readonly bytes: number
  readonly source?: string
}

/** One mount. They are carried out in order; targets of `tmpfs` and `bind` are made first if missing. */
export type Mount =
  | { readonly do: 'tmpfs'; readonly target: string; readonly mode: string; readonly bytes: number }
  | {
      readonly do: 'bind'
      readonly source: string
      readonly target: string
      readonly kind: 'folder' | 'file'
    }

const sealed: EmptyFolder = { mode: '0755', bytes: 64 * 1024 }

/**
 * The mounts that make `marks` true. The nearest mark above a path decides about it; on the
 * same path `hide` beats `keep`. Each hidden tree is built beside the real one, in a folder
 * below `stage` (which exists, and holds folders 0, 1, 2 …), and covers it in the end: until
 * then everything is still reachable as a source.
 */
export function planMounts(marks: readonly Mark[], stage: string): readonly Mount[] {
  const effective = effectiveMarks(marks)
  const tops = effective.filter(
    (mark) => mark.is === 'hide' && !effective.some((other) => contains(other.path, mark.path)),
  )
  const building: Mount[] = []
  const covering: { readonly top: string; readonly mount: Mount }[] = []
  let stages = 0
  for (const top of tops) {
    if (top.kind === 'file') {
      covering.push({ top: top.path, mount: hideFile(top.path) })
      continue
    }
    const empty = top.empty ?? sealed
    const built = empty.source ?? `${stage}/${stages++}`
    if (empty.source === undefined) building.push(tmpfs(built, empty))
    for (const mark of effective) {
      if (!contains(top.path, mark.path)) continue
      const target = built + mark.path.slice(top.path.length)
      if (mark.is === 'keep') building.push({ do: 'bind', source: mark.path, target, kind: mark.kind })
      else building.push(mark.kind === 'file' ? hideFile(target) : tmpfs(target, mark.empty ?? sealed))
    }
    covering.push({ top: top.path, mount: { do: 'bind', source: built, target: top.path, kind: 'folder' } })
  }
  // What is built below `stage` goes out of sight with the tree that holds it: that one comes last.
  covering.sort((a, b) => Number(contains(a.top, stage)) - Number(contains(b.top, stage)))
  return [...building, ...covering.map(({ mount }) => mount)]
}

/** How many folders planMounts() wants below `stage` at most. */
export function stagesOf(marks: readonly Mark[]): number {
  return marks.filter(({ is, kind }) => is === 'hide' && kind === 'folder').length
}

/** Whether `inner` lies below `outer` (not: is it). */
export function contains(outer: string, inner: string): boolean {
  return outer === '/' ? inner !== '/' : inner.startsWith(`${outer}/`)
}

/** Marks that change something, outermost first. */
function effectiveMarks(marks: readonly Mark[]): readonly Mark[] {
  const byPath = new Map<string, Mark>()
  for (const mark of marks) {
    const known = byPath.get(mark.path)
    if (known === undefined || known.is === 'keep') byPath.set(mark.path, mark)
  }
  const sorted = [...byPath.values()].sort((a, b) => a.path.length - b.path.length)
  return sorted.filter((mark) => {
    const above = sorted.findLast((other) => contains(other.path, mark.path))
    return mark.is !== (above?.is ?? 'keep')
  })
}

function tmpfs(target: string, { mode, bytes }: EmptyFolder): Mount {
  return { do: 'tmpfs', target, mode, bytes }
}

function hideFile(target: string): Mount {
  return { do: 'bind', source: '/dev/null', target, kind: 'file' }
}
