import type { Deps } from '../../runtime/deps.js'

/** A value that somebody has now, of a tag or an entry rule; empty: none any more. */
export type Changed = { p: number; id: string; new: string }

/** The instant of the evaluation that found it, and what effects are keyed under. */
export type Occasion = { now: Date; key: string }

/** What the service does when values change, beside showing them. */
export interface Reaction {
  /** Of which tags and entry rules it is told, under the definitions as they are. */
  follows(deps: Pick<Deps, 'definitions'>): (id: string) => boolean
  /** May be repeated, together with other changes or without them: whatever it does has a key. */
  react(deps: Deps, changes: readonly Changed[], occasion: Occasion): Promise<void>
}
