import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { HOUR_MS, SECOND_MS } from '../../../src/time.js'
import type { State } from '../../state.js'
import type { World } from '../../world/world.js'
import {
  type Call,
  type Endpoints,
  fromCursor,
  memberId,
  OptionalText,
  read,
  Refusal,
  type Reply,
  toCursor,
} from '../core/endpoint.js'
import { tagsShown } from './late-tags.js'
import { sees } from './visibility.js'

/** Page 92994: default 50, and more than 100 is taken as 100. */
const BATCH_DEFAULT = 50
const BATCH_MAX = 100
/** Page 92114: followers in one answer. */
const FOLLOWERS_MAX = 500
/** Page 99434: people in one answer, and how long their temporary ids live. */
const SERVED_MAX = 1_000
const TMP_OPENID_MS = 4 * HOUR_MS

type ContactRow = { external_user_id: string; union_id: string | null; name: string; gender: number }
type RelationRow = {
  user_id: string
  external_user_id: string
  created_ms: number
  add_way: number
  state: string | null
  remark: string
  description: string
  remark_company: string
  remark_mobiles: string
}

type BatchRow = RelationRow & ContactRow & { tag_ids: string }

const FRIENDS = `status IN ('active', 'customer_deleted')` // who was deleted by the customer still has the one-way relation

const BatchQuery = z.object({
  userid_list: z.array(z.string()).min(1).max(100).optional(),
  userid: OptionalText,
  cursor: OptionalText,
  limit: z.int().min(1).nullish(),
})
const Userid = z.object({ userid: OptionalText })
const OneCustomer = z.object({ external_userid: OptionalText, cursor: OptionalText })
const FollowersCursor = z.tuple([z.literal('followers'), z.int()])
const BatchCursor = z.tuple([z.literal('user'), z.string(), z.string()])

/** Customers (section 客户管理: pages 92571, 92113, 92114, 92994, 92115). */
export function contactEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/externalcontact/get_follow_user_list': {
      empty: { follow_user: [] },
      handle: () => ({ follow_user: world.staff.employed.filter((m) => m.hasCustomerContact).map((m) => m.userId) }),
    },
    '/cgi-bin/externalcontact/list': { empty: { external_userid: [] }, handle: (call) => listContacts(world, call) },
    '/cgi-bin/externalcontact/get': { empty: { follow_user: [] }, handle: (call) => getContact(world, call) },
    '/cgi-bin/externalcontact/batch/get_by_user': {
      empty: { external_contact_list: [] },
      handle: (call) => getContactsByUser(world, call),
    },
    '/cgi-bin/externalcontact/contact_list': { empty: { info_list: [] }, handle: (call) => contactList(world, call) },
    '/cgi-bin/externalcontact/remark': { writes: true, handle: (call) => remark(world, call) },
  }
}

function listContacts(world: World, { params }: Call): Reply {
  const userId = memberId(world, read(Userid, params).userid)
  if (world.member(userId)?.hasCustomerContact === false) throw new Refusal(84074, 'no external contact permission')
  const rows = world.state.many<{ id: string }>(
    `SELECT external_user_id AS id FROM relation WHERE user_id = ? AND ${FRIENDS} ORDER BY created_ms, external_user_id`,
    userId,
  )
  if (rows.length === 0) throw new Refusal(84061, 'not external contact')
  return { external_userid: rows.map((row) => row.id) }
}

function getContact(world: World, { params, now }: Call): Reply {
  const { external_userid: id, cursor } = read(OneCustomer, params)
  if (id === undefined) throw new Refusal(41035, 'missing external userid')
  const after = fromCursor(cursor, FollowersCursor)?.[1] ?? 0
  const contact = world.state.get<ContactRow>('SELECT * FROM contact WHERE external_user_id = ?', id)
  const relations = world.state.all<RelationRow & { status: string }>(
    'SELECT * FROM relation WHERE external_user_id = ? ORDER BY created_ms, user_id',
    id,
  )
  if (contact === undefined || relations.length === 0) throw new Refusal(40096, 'invalid external userid')
  const friends = relations.filter((r) => r.status === 'active' || r.status === 'customer_deleted')
  if (friends.length === 0) throw new Refusal(84061, 'not external contact')
  const end = after + FOLLOWERS_MAX
  return {
    external_contact: toContact(contact),
    follow_user: friends.slice(after, end).map((r) => ({ ...toFollow(r), tags: tagsOf(world, r, now) })),
    next_cursor: end < friends.length ? toCursor('followers', end) : '',
  }
}

function getContactsByUser(world: World, { params, now }: Call): Reply {
  const { userid_list: list, userid, cursor, limit } = read(BatchQuery, params)
  // `userid` is not documented, and clients send it.
  const named = list ?? (userid !== undefined && world.scenario.behaviour.getByUserUserid ? [userid] : undefined)
  if (named === undefined) throw new Refusal(41009, 'missing userid')
  const users = [...new Set(named.map((id) => memberId(world, id)))].sort()
  const size = Math.min(limit ?? BATCH_DEFAULT, BATCH_MAX)
  const from = fromCursor(cursor, BatchCursor)
  const rows: BatchRow[] = []
  for (const userId of users) {
    if (from !== undefined && userId < from[1]) continue
    const after = from !== undefined && userId === from[1] ? from[2] : ''
    rows.push(...batchOf(world.state, userId, after, size + 1 - rows.length))
    if (rows.length > size) break
  }
  const page = rows.slice(0, size)
  const last = page.at(-1)
  return {
    external_contact_list: page.map((r) => ({
      external_contact: toContact(r),
      follow_info: {
        ...toFollow(r),
        tag_id: tagsShown(world, r.user_id, r.external_user_id, now, JSON.parse(r.tag_ids) as string[]),
      },
    })),
    next_cursor: rows.length > size && last !== undefined ? toCursor('user', last.user_id, last.external_user_id) : '',
  }
}

function contactList(world: World, { params, app, now }: Call): Reply {
  const Body = z.object({ cursor: OptionalText, limit: z.int().min(1).max(SERVED_MAX).default(SERVED_MAX) })
  const { cursor, limit } = read(Body, params)
  const Key = z.tuple([z.enum(['friends', 'groups']), z.string(), z.string()])
  const [kind, ...from] = fromCursor(cursor, Key) ?? (['friends', '', ''] as const)
  const rows = kind === 'friends' ? friendsAfter(world.state, from, limit + 1) : []
  if (rows.length <= limit)
    rows.push(...groupPeopleAfter(world.state, kind === 'groups' ? from : ['', ''], limit + 1 - rows.length))
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return {
    info_list: page.filter((r) => sees(world, app, r.user_id)).map((r) => toServed(r, world.seed, now)),
    next_cursor: rows.length > limit && last !== undefined ? toCursor(last.kind, ...last.key) : '',
  }
}

function remark(world: World, { params }: Call): Reply {
  const Body = z.object({
    userid: OptionalText,
    external_userid: OptionalText,
    remark: z.string().max(20, 'exceed max length 20').optional(),
    description: z.string().max(150, 'exceed max length 150').optional(),
    remark_company: z.string().max(20, 'exceed max length 20').optional(),
    remark_mobiles: z.union([z.array(z.string()), z.literal('').transform(() => [])]).optional(),
    remark_pic_mediaid: z.string().optional(),
  })
  const { userid, external_userid: id, ...change } = read(Body, params)
  const userId = memberId(world, userid)
  checkRelation(world, userId, id)
  if (Object.values(change).every((value) => value === undefined)) {
    throw new Refusal(
      40058,
      'remark, description, remark_company, remark_mobiles and remark_pic_mediaid unexpected empty. invalid Request Parameter',
    )
  }
  const mobiles = change.remark_mobiles?.filter((number) => number !== '')
  world.state.run(
    `UPDATE relation SET remark = coalesce(?, remark), description = coalesce(?, description),
       remark_company = coalesce(?, remark_company), remark_mobiles = coalesce(?, remark_mobiles)
     WHERE user_id = ? AND external_user_id = ?`,
    change.remark ?? null, change.description ?? null, change.remark_company ?? null,
    mobiles === undefined ? null : JSON.stringify(mobiles), userId, id!,
  ) // prettier-ignore
  return {}
}

/** The member has the customer. @throws {Refusal} 41035, 40096, 84061 */
export function checkRelation(world: World, userId: string, externalUserId: string | undefined): void {
  if (externalUserId === undefined) throw new Refusal(41035, 'missing external userid')
  const status = world.relations.status(userId, externalUserId)
  if (status === 'active' || status === 'customer_deleted') return
  const known = world.state.get('SELECT 1 FROM relation WHERE external_user_id = ? LIMIT 1', externalUserId)
  if (known === undefined) throw new Refusal(40096, 'invalid external userid')
  throw new Refusal(84061, 'not external contact')
}

function batchOf(state: State, userId: string, after: string, limit: number): BatchRow[] {
  return state.many(
    `SELECT r.*, c.union_id, c.name, c.gender,
       (SELECT json_group_array(tag_id) FROM (SELECT tag_id FROM relation_tag t
          WHERE t.user_id = r.user_id AND t.external_user_id = r.external_user_id ORDER BY tag_id)) || '' AS tag_ids
     FROM relation r JOIN contact c ON c.external_user_id = r.external_user_id
     WHERE r.user_id = ? AND r.external_user_id > ? AND r.${FRIENDS} ORDER BY r.external_user_id LIMIT ?`,
    userId,
    after,
    limit,
  )
}

function toContact(c: ContactRow): Record<string, unknown> {
  return {
    external_userid: c.external_user_id,
    name: c.name,
    type: 1,
    avatar: 'http://wx.qlogo.cn/mmhead/sandbox/0',
    gender: c.gender,
    ...(c.union_id === null ? {} : { unionid: c.union_id }),
  }
}

function toFollow(r: RelationRow): Record<string, unknown> {
  return {
    userid: r.user_id,
    remark: r.remark,
    description: r.description,
    createtime: Math.floor(r.created_ms / SECOND_MS),
    remark_corp_name: r.remark_company,
    remark_mobiles: JSON.parse(r.remark_mobiles) as unknown,
    oper_userid: r.external_user_id,
    add_way: r.add_way,
    ...(r.state === null ? {} : { state: r.state }),
  }
}

function tagsOf(world: World, r: RelationRow, now: Date): Record<string, unknown>[] {
  const tagIds = tagsShown(world, r.user_id, r.external_user_id, now)
  if (tagIds.length === 0) return []
  return world.state.all(
    `SELECT g.name AS group_name, t.name AS tag_name, t.tag_id, 1 AS type
     FROM tag t JOIN tag_group g ON g.group_id = t.group_id
     WHERE t.tag_id IN (SELECT value FROM json_each(?)) ORDER BY t.tag_id`,
    JSON.stringify(tagIds),
  )
}

/** Somebody the company serves: as a member's friend, or in a group of hers. */
type ServedRow = {
  kind: 'friends' | 'groups'
  key: [string, string]
  user_id: string
  id: string
  name: string
  is_customer: number
  chat_id?: string
  chat_name?: string
  at_ms: number
}

function friendsAfter(state: State, [userId, id]: readonly [string, string], limit: number): ServedRow[] {
  const rows = state.all<Omit<ServedRow, 'kind' | 'key'>>(
    `SELECT r.user_id, r.external_user_id AS id, c.name, r.status <> 'half' AS is_customer, r.created_ms AS at_ms
     FROM relation r JOIN contact c ON c.external_user_id = r.external_user_id
     WHERE (r.user_id, r.external_user_id) > (?, ?) ORDER BY r.user_id, r.external_user_id LIMIT ?`,
    userId,
    id,
    limit,
  )
  return rows.map((row) => ({ ...row, kind: 'friends', key: [row.user_id, row.id] }))
}

function groupPeopleAfter(state: State, [chatId, id]: readonly [string, string], limit: number): ServedRow[] {
  const rows = state.all<Omit<ServedRow, 'kind' | 'key'> & { chat_id: string }>(
    `SELECT g.owner AS user_id, m.id, coalesce(c.name, m.nickname) AS name, m.chat_id, g.name AS chat_name, m.join_ms AS at_ms,
       EXISTS (SELECT 1 FROM relation r WHERE r.external_user_id = m.id AND r.status <> 'half') AS is_customer
     FROM chat_member m JOIN chat g ON g.chat_id = m.chat_id LEFT JOIN contact c ON c.external_user_id = m.id
     WHERE (m.chat_id, m.id) > (?, ?) AND m.type = 2 ORDER BY m.chat_id, m.id LIMIT ?`,
    chatId,
    id,
    limit,
  )
  return rows.map((row) => ({ ...row, kind: 'groups', key: [row.chat_id, row.id] }))
}

function toServed(r: ServedRow, seed: number, now: Date): Record<string, unknown> {
  return {
    is_customer: r.is_customer === 1,
    tmp_openid: hashKey(32, seed, 'tmp_openid', r.id, Math.floor(now.getTime() / TMP_OPENID_MS)),
    ...(r.is_customer === 1 ? { external_userid: r.id } : { name: `***${r.name.slice(-1)}` }),
    ...(r.kind === 'friends' ? { follow_userid: r.user_id } : { chat_id: r.chat_id, chat_name: r.chat_name }),
    add_time: Math.floor(r.at_ms / SECOND_MS),
  }
}
