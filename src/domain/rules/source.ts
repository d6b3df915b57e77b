import type { Scope } from './scope.js'

/**
 * What rules are asked of. now: what is known now, as it counts now. then: what was known at `nowMs`, whatever was heard
 * since. happened: what had happened by `nowMs`, as far as it is known today, whenever it was heard of.
 */
export type Knowledge = 'now' | 'then' | 'happened'

export type Asked = { nowMs: number; scope: Scope }

/** Where the rows come from that rules read. Everything is SQL, and about the people of the scope. */
export type Source = {
  /**
   * SELECT of `p`, `traits`, `identifier_types`, and `consent` where it is wanted: who there is.
   *
   * @param traits - the ones that are wanted, `CONSENT` among them; absent: all
   */
  people(asked: Asked, traits?: ReadonlySet<string>): string
  /** The stored values of tags, as parts of a SELECT. */
  state(asked: Asked, tags: ReadonlySet<string>): { p: string; id: string; value: string; from: string }
  /** SELECT of `p` and `columns` of their events, as far as `where` holds. */
  events(asked: Asked, columns: string, where: string): string
}
