import { z } from 'zod'
import { eventsTable, profilesTable } from '../../domain/events/tables.js'
import { literal } from '../../domain/rules/sql.js'
import { atTimeOfDay, toDay } from '../../time.js'
import type { ServiceDeps } from '../runtime/deps.js'

export type ArrivalRow = {
  /** YYYY-MM-DD in the business time zone. */
  on: string
  /** Channel code; empty for who came without one. */
  channel: string
  added: number
  /** Relations that ended on that day, whenever they began; handovers are no loss. */
  deleted: number
  /** Of those added on that day, who are still there now. */
  standing: number
  /** Of those added on that day, who ordered since. */
  ordered: number
}
export type MemberRow = {
  userId: string
  added: number
  lost: number
  chats: number
  messages: number
  /** Percent, over days with a reply; absent without one. */
  replyPercentage?: number
  groups?: number
  groupMembers?: number
}
export type WecomStatistics = { from: string; to: string; arrivals: ArrivalRow[]; members: MemberRow[] }

const Counted = z.object({ d: z.string(), s: z.string(), added: z.number(), standing: z.number(), ordered: z.number() })
const Deleted = z.object({ d: z.string(), s: z.string(), n: z.number() })

/** Who came by which code and who stayed, from our own events; what members did, as WeCom counts it. Today is included. */
export async function countArrivals(deps: ServiceDeps, days: number): Promise<WecomStatistics> {
  const { timeZone } = deps.brand
  const now = deps.clock.now()
  const from = atTimeOfDay(now, 0, timeZone, 1 - days)
  const on = (column: string) => `toString(toDate(${column}, ${literal(timeZone)}))`
  const merged = `SELECT profile_id, merged_into FROM ${profilesTable.name} FINAL WHERE merged_into != 0`
  const whose = `if(m.merged_into = 0, profile_id, m.merged_into)`
  const text = (name: string) => `JSONExtractString(properties, '${name}')`
  const adds = `SELECT ${whose} AS p, ${text('userId')} AS u, ${text('externalUserId')} AS x, ${text('state')} AS s, occurred_at AS at
    FROM ${eventsTable.name} LEFT ANY JOIN (${merged}) AS m USING (profile_id) WHERE name = 'contact_added'`
  const ends = `SELECT ${text('userId')} AS u, ${text('externalUserId')} AS x, occurred_at AS ended
    FROM ${eventsTable.name} WHERE name = 'contact_deleted' AND ${text('by')} != 'transfer'`
  const orders = `SELECT ${whose} AS p, max(occurred_at) AS last FROM ${eventsTable.name} LEFT ANY JOIN (${merged}) AS m USING (profile_id)
    WHERE name = 'order_paid' GROUP BY p`
  const since = `fromUnixTimestamp64Milli(toInt64(${from.getTime()}))`
  const counted = await deps.events.query(
    `SELECT ${on('at')} AS d, s, toUInt32(count()) AS added, toUInt32(countIf(gone <= at)) AS standing, toUInt32(countIf(last > at)) AS ordered
     FROM (SELECT a.p AS p, a.u AS u, a.x AS x, a.s AS s, a.at AS at, e.gone AS gone FROM (${adds} AND occurred_at >= ${since}) AS a
       LEFT JOIN (SELECT u, x, max(ended) AS gone FROM (${ends}) GROUP BY u, x) AS e ON a.u = e.u AND a.x = e.x) AS b
     LEFT JOIN (${orders}) AS o ON b.p = o.p GROUP BY d, s`,
    Counted,
    'scan',
  )
  const deleted = await deps.events.query(
    `SELECT ${on('ended')} AS d, s, toUInt32(count()) AS n
     FROM (SELECT u, x, ended FROM (${ends}) WHERE ended >= ${since}) AS e
     INNER JOIN (SELECT u, x, argMax(s, at) AS s FROM (${adds}) GROUP BY u, x) AS a ON e.u = a.u AND e.x = a.x GROUP BY d, s`,
    Deleted,
    'scan',
  )
  const rows = new Map<string, ArrivalRow>()
  const rowOf = (d: string, s: string) => {
    const key = JSON.stringify([d, s])
    const row = rows.get(key) ?? { on: d, channel: s, added: 0, deleted: 0, standing: 0, ordered: 0 }
    rows.set(key, row)
    return row
  }
  for (const { d, s, added, standing, ordered } of counted) Object.assign(rowOf(d, s), { added, standing, ordered })
  for (const { d, s, n } of deleted) rowOf(d, s).deleted = n
  const arrivals = [...rows.values()].sort((a, b) =>
    a.on === b.on ? (a.channel < b.channel ? -1 : 1) : a.on < b.on ? -1 : 1,
  )
  const span = { from: toDay(from, timeZone), to: toDay(now, timeZone) }
  return { ...span, arrivals, members: await countMembers(deps, span.from) }
}

async function countMembers({ docs }: ServiceDeps, from: string): Promise<MemberRow[]> {
  const rows = new Map<string, MemberRow & { replies: number[] }>()
  for (const { kind, userId, figures } of await docs.wecomDays.find(
    { on: { $gte: from } },
    { sort: { on: 1, _id: 1 } },
  )) {
    const row = rows.get(userId) ?? { userId, added: 0, lost: 0, chats: 0, messages: 0, replies: [] }
    rows.set(userId, row)
    if (kind === 'groups') {
      // Totals, not additions: the last day counts.
      row.groups = figures['chat_total'] ?? 0
      row.groupMembers = figures['member_total'] ?? 0
      continue
    }
    row.added += figures['new_contact_cnt'] ?? 0
    row.lost += figures['negative_feedback_cnt'] ?? 0
    row.chats += figures['chat_cnt'] ?? 0
    row.messages += figures['message_cnt'] ?? 0
    if (figures['reply_percentage'] !== undefined) row.replies.push(figures['reply_percentage'])
  }
  return [...rows.values()]
    .sort((a, b) => (a.userId < b.userId ? -1 : 1))
    .map(({ replies, ...row }) => ({
      ...row,
      ...(replies.length > 0 && { replyPercentage: replies.reduce((a, b) => a + b) / replies.length }),
    }))
}
