import type { Aggregate } from '../rules/rule.js'
import type { Tag } from './definition.js'

/**
 * Tags that say how many days something is ago, by id, with what they look at. Time alone changes their value, so what is
 * stored is the instant (milliseconds since the epoch, as text), and whoever reads it counts.
 */
export type Instants = ReadonlyMap<string, Aggregate>

export function instantsOf(tags: readonly Tag[]): Instants {
  return new Map(
    tags.flatMap((tag) =>
      tag.type === 'number' && tag.value?.daysSince === true ? [[tag.id, tag.value] as const] : [],
    ),
  )
}

/** Whole days from a stored instant, '' when there is none. `expression.ts` says the same in SQL. */
export function toDays(instant: string, nowMs: number): string {
  return instant === '' ? '' : String(Math.trunc((nowMs - Number(instant)) / 86_400_000))
}

/** A stored value as people read it. */
export function shownValue(instants: Instants, tagId: string, stored: string, now: Date): string {
  return instants.has(tagId) ? toDays(stored, now.getTime()) : stored
}
