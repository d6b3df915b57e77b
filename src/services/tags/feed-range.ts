import { z } from 'zod'
import { tagChangesTable } from '../../domain/events/tables.js'
import { messageOf } from '../../errors.js'
import { ENTRY_PREFIX } from '../../domain/journeys/definition.js'
import type { Deps } from '../runtime/deps.js'
import { eachAlone } from '../runtime/each-alone.js'
import { type ProfileChanges, writeTags } from './evaluate-profiles.js'
import type { Range } from './range-alone.js'
import { followedBy, react } from './reactions/react.js'
import type { Occasion } from './reactions/reaction.js'

/** Read by one query at most: so many values, or so much of what they say. Everybody's may be longer. */
const PAGE_VALUES = 100_000
const PAGE_BYTES = 8 * 2 ** 20
/** Profile ids that are never parted among pages. */
const SLOT = 250
/** Profiles that are worked on without others getting their turn. */
const SLICE = 1_000

type Appended = Occasion & { seq: number }

/**
 * Acts on what a range has appended to the log, from its first profile on that nobody has acted on: writes documents, then
 * tells the reactions. Yields how far it is; what follows is done when the caller has stored that.
 *
 * Whom ingest has touched since is left alone, as what was appended may no longer be true of her. But the group may have found
 * the state as the range left it, and done nothing itself: so what is owed is noted in her stamp, and done when she is
 * evaluated again, at the instant of the range, if it is true then.
 */
export async function* feedRange(
  deps: Deps,
  appended: Appended,
  range: Range,
): AsyncGenerator<{ fed: number; changes: number }> {
  for (const page of await pagesOf(deps, appended, range)) {
    const rows = await deps.events.query(
      `SELECT profile_id AS p, arraySort(groupUniqArray((tag_id, new_value))) AS changes
      FROM ${tagChangesTable.name} WHERE ${isOf(appended, page)} GROUP BY p ORDER BY p`,
      Row,
      'scan',
    )
    for (let i = 0; i < rows.length; i += SLICE)
      await eachAlone(
        rows.slice(i, i + SLICE),
        (some) => feed(deps, appended, some),
        (row, err) => leaveForLater(deps, appended, row, err),
      )
    yield { fed: page.to, changes: rows.reduce((sum, row) => sum + row.changes.length, 0) }
  }
}

const Row = z.object({ p: z.number(), changes: z.array(z.tuple([z.string(), z.string()])) })
const Slot = z.object({ slot: z.number(), n: z.number(), bytes: z.number() })

/** Ranges of profiles of which one page each is appended, in order, the last one to the end. */
async function pagesOf({ events }: Deps, appended: Appended, range: Range): Promise<Range[]> {
  const slots = await events.query(
    `SELECT intDiv(profile_id, ${SLOT}) AS slot, count() AS n, sum(length(tag_id) + length(new_value)) AS bytes
    FROM ${tagChangesTable.name} WHERE ${isOf(appended, range)} GROUP BY slot ORDER BY slot`,
    Slot,
    'scan',
  )
  const pages: Range[] = []
  let { from } = range
  let [values, chars] = [0, 0]
  for (const { slot, n, bytes } of slots) {
    const start = slot * SLOT
    if (values > 0 && (values + n > PAGE_VALUES || chars + bytes > PAGE_BYTES)) {
      pages.push({ from, to: start })
      from = start
      values = chars = 0
    }
    values += n
    chars += bytes
  }
  if (values > 0) pages.push({ from, to: range.to })
  return pages
}

/** Rows of an evaluation: the log is in order of tag, instant and profile. */
function isOf({ now, seq }: Appended, { from, to }: Range): string {
  return `changed_at = fromUnixTimestamp64Milli(toInt64(${now.getTime()}), 'UTC') AND seq = ${seq} AND profile_id >= ${from} AND profile_id < ${to}`
}

async function feed(deps: Deps, { now, key, seq }: Appended, rows: readonly ProfileChanges[]): Promise<void> {
  const { docs, facts } = deps
  const stamps = await docs.overtaken.find({ _id: { $gte: rows[0]!.p, $lte: rows.at(-1)!.p } }) // never empty
  const overtaken = new Set(stamps.map((stamp) => stamp._id))
  const isFollowed = followedBy(deps)
  const ours = rows.filter((row) => !overtaken.has(row.p))
  await writeTags(deps, ours.map(withoutEntries), seq, now)
  await react(
    deps,
    ours.flatMap(({ p, changes }) => changes.flatMap(([id, value]) => (isFollowed(id) ? [{ p, id, new: value }] : []))),
    { now, key },
  )
  await docs.overtaken.updateEach(
    rows.flatMap(({ p, changes }) => {
      const owed = changes.flatMap(([id]) => (isFollowed(id) ? [{ id, at: now }] : []))
      if (!overtaken.has(p) || owed.length === 0) return []
      return [{ id: p, update: { $addToSet: { owed: { $each: owed } } } }]
    }),
  )
  facts.record(
    facts.concerned(rows).flatMap(({ p, changes }) => changes.map(([id, value]) => ({ p, id, new: value }))),
    seq,
  )
}

/** Nobody would find it any more: she is evaluated again before the refresh closes, and what is owed to her is done then. */
async function leaveForLater(
  { docs, log }: Deps,
  { now, seq }: Appended,
  { p, changes }: ProfileChanges,
  err: unknown,
): Promise<void> {
  log.error('what a refresh found of a profile is left for later', { profileId: p, cause: messageOf(err) })
  const owed = changes.map(([id]) => ({ id, at: now }))
  const update = { $max: { seq }, $inc: { times: 1 }, $addToSet: { owed: { $each: owed } } }
  await docs.overtaken.updateEach([{ id: p, update, upsert: true }])
}

/** Entry rules are no tags, and are shown nowhere. */
function withoutEntries({ p, changes }: ProfileChanges): ProfileChanges {
  const isEntry = ([id]: readonly [string, string]) => id.startsWith(ENTRY_PREFIX)
  return changes.some(isEntry) ? { p, changes: changes.filter((change) => !isEntry(change)) } : { p, changes }
}
