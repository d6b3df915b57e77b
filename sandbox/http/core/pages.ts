import { z } from 'zod'
import { fromCursor, OptionalText, read, toCursor } from './endpoint.js'

export type PageRules = { what: string; fallback: number; max: number }

/** Above the maximum these lists fall back to their default. */
export function pageSize(limit: number | null | undefined, fallback: number, max: number): number {
  return limit === null || limit === undefined || limit > max ? fallback : limit
}

/**
 * One page by `limit` and `cursor`. @param list - the rows after the `after`-th, at most `size`, each with its number
 * @throws {Refusal} 50100 when the cursor belongs to another list
 */
export function readPage<T extends { seq: number }>(
  params: Record<string, unknown>,
  { what, fallback, max }: PageRules,
  list: (after: number, size: number) => T[],
): { rows: T[]; next_cursor: string } {
  const { limit, cursor } = read(z.object({ limit: z.int().min(1).nullish(), cursor: OptionalText }), params)
  const size = pageSize(limit, fallback, max)
  const after = fromCursor(cursor, z.tuple([z.literal(what), z.int()]))?.[1] ?? 0
  const found = list(after, size + 1)
  const rows = found.slice(0, size)
  return { rows, next_cursor: found.length > size ? toCursor(what, rows.at(-1)!.seq) : '' }
}

/** Items of an array with their numbers from 1 on, for `readPage`. */
export function numbered<T>(items: readonly T[]): (after: number, size: number) => { seq: number; item: T }[] {
  return (after, size) => items.slice(after, after + size).map((item, i) => ({ seq: after + i + 1, item }))
}
