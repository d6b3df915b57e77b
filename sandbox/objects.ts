import { hashKey } from '../src/random.js'
import type { State } from './state.js'

/** Things an app made that the world only keeps: one row of JSON each, in the order they were made. */
export interface Objects<T> {
  get: (id: string) => T | undefined
  /** Replaces what has that id and keeps its place. */
  put: (id: string, body: T) => void
  /** @returns whether it was there */
  delete: (id: string) => boolean
  /** Those made after the `after`-th, at most `limit`. */
  list: (after?: number, limit?: number) => { seq: number; id: string; body: T }[]
  count: () => number
  /** A new id, never given out before; the same sequence for the same seed. */
  newId: (prefix: string, length: number) => string
}

/** @param kind - keeps these apart from all others */
export function openObjects<T>(state: State, seed: number, kind: string): Objects<T> {
  return {
    get(id) {
      const row = state.get<{ body: string }>('SELECT body FROM object WHERE kind = ? AND id = ?', kind, id)
      return row === undefined ? undefined : (JSON.parse(row.body) as T)
    },
    put(id, body) {
      state.run(
        `INSERT INTO object (kind, id, seq, body) VALUES (?, ?, (SELECT coalesce(max(seq), 0) + 1 FROM object WHERE kind = ?), ?)
         ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body`,
        kind,
        id,
        kind,
        JSON.stringify(body),
      )
    },
    delete: (id) => state.run('DELETE FROM object WHERE kind = ? AND id = ?', kind, id) > 0,
    list: (after = 0, limit = -1) =>
      state
        .all<{ seq: number; id: string; body: string }>(
          'SELECT seq, id, body FROM object WHERE kind = ? AND seq > ? ORDER BY seq LIMIT ?',
          kind,
          after,
          limit,
        )
        .map(({ seq, id, body }) => ({ seq, id, body: JSON.parse(body) as T })),
    count: () => state.get<{ n: number }>('SELECT count(*) AS n FROM object WHERE kind = ?', kind)!.n,
    newId(prefix, length) {
      const counter = `objects:${kind}`
      state.count(counter)
      return prefix + hashKey(length, seed, kind, state.counter(counter))
    },
  }
}
