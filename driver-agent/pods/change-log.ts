/**
 * The newest version of every pod, in the order of their resource versions, and the watches that
 * are told of each change. There is no log of events that could run out of its past: a watch that
 * comes back is told the newest version of everything that changed since, and Spark looks at
 * nothing else. So `410 Gone`, which kills Spark's watch for good, is never needed: living pods
 * are always here, and of ended ones the newest `endedKept` are. A watch that was away for more
 * ends than that is told the newest of them; the rest Spark's poll finds missing within 30 s.
 * Used by table.ts only.
 */
import type { Clock } from '../../relay/time/clock.ts'
import type { PodObject } from './object.ts'
import { type PodSelector, selects } from './selector.ts'
import type { WatchEvent } from './types.ts'

interface Entry {
  readonly object: PodObject
  readonly version: number
  /** Version of its ADDED. */
  readonly addedVersion: number
  /** Labels before they last changed, and the version of that change: a watch may have selected by them. */
  readonly before: { readonly labels: Readonly<Record<string, string>>; readonly version: number } | undefined
  /** Clock's ms of its removal; undefined: it is there. */
  readonly removedMs: number | undefined
}

interface Watch {
  readonly selector: PodSelector
  readonly tell: (event: WatchEvent) => void
}

/**
 * A client whose watch broke before its first event knows no resource version to come back with.
 * So a watch without one is told of the pods that ended this recently, too.
 */
const RECENT_MS = 60_000

export class ChangeLog {
  readonly #clock: Clock
  readonly #endedKept: number
  /** By uid, in the order of versions: each change deletes its entry and sets it anew. */
  readonly #live = new Map<string, Entry>()
  readonly #ended = new Map<string, Entry>()
  readonly #watches = new Set<Watch>()
  #wasWatched = false
  #version = 0

  constructor(options: { clock: Clock; endedKept: number }) {
    this.#clock = options.clock
    this.#endedKept = options.endedKept
  }

  get version(): string {
    return String(this.#version)
  }

  /** A driver watches its pods for as long as it lives: this one was watched, and is no more. */
  get isAbandoned(): boolean {
    return this.#wasWatched && this.#watches.size === 0
  }

  list(selector: PodSelector): PodObject[] {
    // In the order of creation: one in the order of changes would shuffle under the reader's eyes.
    return [...this.#live.values()]
      .filter(({ object }) => selects(selector, object))
      .sort((left, right) => left.addedVersion - right.addedVersion)
      .map(({ object }) => object)
  }

  /** Gives `object` the next version, keeps it and tells the watches. */
  set(object: PodObject): PodObject {
    const previous = this.#live.get(object.metadata.uid)
    const stamped = this.#stamp(object)
    const relabelled =
      previous !== undefined &&
      JSON.stringify(previous.object.metadata.labels) !== JSON.stringify(object.metadata.labels)
    const entry: Entry = {
      object: stamped,
      version: this.#version,
      addedVersion: previous?.addedVersion ?? this.#version,
      before: relabelled
        ? { labels: previous.object.metadata.labels, version: this.#version }
        : previous?.before,
      removedMs: undefined,
    }
    this.#live.delete(object.metadata.uid)
    this.#live.set(object.metadata.uid, entry)
    for (const watch of this.#watches) {
      const was = previous !== undefined && selects(watch.selector, previous.object)
      const is = selects(watch.selector, stamped)
      if (is) watch.tell({ type: was ? 'MODIFIED' : 'ADDED', object: stamped })
      else if (was) watch.tell({ type: 'DELETED', object: stamped })
    }
    return stamped
  }

  /** Removes the pod; `object` is its last version. */
  remove(object: PodObject): PodObject {
    const previous = this.#live.get(object.metadata.uid)
    const stamped = this.#stamp(object)
    this.#live.delete(object.metadata.uid)
    this.#ended.set(object.metadata.uid, {
      object: stamped,
      version: this.#version,
      addedVersion: previous?.addedVersion ?? this.#version,
      before: previous?.before,
      removedMs: this.#clock.now(),
    })
    for (const uid of this.#ended.keys()) {
      if (this.#ended.size <= this.#endedKept) break
      this.#ended.delete(uid)
    }
    for (const watch of this.#watches) {
      const was = previous !== undefined && selects(watch.selector, previous.object)
      if (was || selects(watch.selector, stamped)) watch.tell({ type: 'DELETED', object: stamped })
    }
    return stamped
  }

  watch(
    selector: PodSelector,
    resourceVersion: string | undefined,
    tell: (event: WatchEvent) => void,
  ): () => void {
    for (const event of this.#since(selector, resourceVersion)) tell(event)
    const watch: Watch = { selector, tell }
    this.#watches.add(watch)
    this.#wasWatched = true
    return () => this.#watches.delete(watch)
  }

  #since(selector: PodSelector, resourceVersion: string | undefined): WatchEvent[] {
    const asked = Number(resourceVersion ?? 0)
    // A version that is not ours (of another agent's run, say) counts as none.
    const after = Number.isSafeInteger(asked) && asked > 0 && asked <= this.#version ? asked : 0
    const recentMs = this.#clock.now() - RECENT_MS
    const found: { version: number; event: WatchEvent }[] = []
    for (const entry of this.#live.values()) {
      const { object, version, addedVersion } = entry
      if (version <= after) continue
      if (selects(selector, object)) {
        found.push({ version, event: { type: addedVersion > after ? 'ADDED' : 'MODIFIED', object } })
      } else if (addedVersion <= after && mayHaveSelected(selector, entry, after)) {
        found.push({ version, event: { type: 'DELETED', object } })
      }
    }
    for (const entry of this.#ended.values()) {
      if (entry.version <= after || (after === 0 && (entry.removedMs as number) < recentMs)) continue
      if (selects(selector, entry.object) || mayHaveSelected(selector, entry, after)) {
        found.push({ version: entry.version, event: { type: 'DELETED', object: entry.object } })
      }
    }
    return found.sort((left, right) => left.version - right.version).map(({ event }) => event)
  }

  #stamp(object: PodObject): PodObject {
    this.#version += 1
    return { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } }
  }
}

/** Whether the selector took in an earlier version of this pod: other labels since then, or another phase. */
function mayHaveSelected(selector: PodSelector, { object, before }: Entry, after: number): boolean {
  const fields = selector.fields.filter(({ path }) => path !== 'status.phase')
  const timeless = { labels: selector.labels, fields }
  if (fields.length < selector.fields.length && selects(timeless, object)) return true
  return before !== undefined && before.version > after && selects(timeless, object, before.labels)
}
