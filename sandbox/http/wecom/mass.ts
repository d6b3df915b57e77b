import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { DAY_MS, SECOND_MS } from '../../../src/time.js'
import { contentHashOf, type Content } from '../../world/messages.js'
import type { World } from '../../world/world.js'
import { ContentBody, readContent } from './content.js'
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
import { pageSize } from '../core/pages.js'

/** Page 92135 (2025-11-17). */
const MAX_TARGETS = 10_000
const MAX_CHATS = 2_000
const MAX_TAGS = 100
const MAX_SPAN_MS = 31 * DAY_MS
const REMINDERS_PER_DAY = 3

type ChatType = 'single' | 'group'
type MassRow = {
  msgid: string
  created_ms: number
  content: string
  draw_key: string
  cancelled: number
  chat_type: ChatType
  /** A member; null when it was made through the API. */
  creator: string | null
}
/** `external_user_id` holds a chat's id in messages to groups. */
type Target = { external_user_id: string; user_id: string }
type Tasks = { targets: Target[]; senders: string[]; failed: string[] }

const TaskCursor = z.tuple([z.literal('task'), z.string()])
const ResultCursor = z.tuple([z.literal('result'), z.string()])
const NewMass = z.object({
  external_userid: z.array(z.string()).max(MAX_TARGETS, `exceed max size ${MAX_TARGETS}`).nullish(),
  chat_id_list: z.array(z.string()).max(MAX_CHATS, `exceed max size ${MAX_CHATS}`).nullish(),
  sender: z.string().optional(),
  tag_filter: z
    .object({ group_list: z.array(z.object({ tag_list: z.array(z.string()).min(1).max(MAX_TAGS) })).min(1) })
    .nullish(),
  allow_select: z.boolean().default(false),
  ...ContentBody,
})
const TaskQuery = z.object({ msgid: OptionalText, limit: z.int().min(1).nullish(), cursor: OptionalText })
const ResultQuery = z.object({
  msgid: OptionalText,
  userid: OptionalText,
  limit: z.int().min(1).nullish(),
  cursor: OptionalText,
})

/** Mass messages to customers (page 92135 and its neighbours): a task for members, who alone can send. */
export function massEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/externalcontact/add_msg_template': {
      writes: true,
      empty: { fail_list: [] },
      handle: (call) => addMsgTemplate(world, call),
    },
    '/cgi-bin/externalcontact/get_groupmsg_list_v2': {
      empty: { group_msg_list: [] },
      handle: (call) => getGroupmsgListV2(world, call),
    },
    '/cgi-bin/externalcontact/get_groupmsg_task': {
      empty: { task_list: [] },
      handle: (call) => getGroupmsgTask(world, call),
    },
    '/cgi-bin/externalcontact/get_groupmsg_send_result': {
      empty: { send_list: [] },
      handle: (call) => getGroupmsgSendResult(world, call),
    },
    '/cgi-bin/externalcontact/remind_groupmsg_send': {
      writes: true,
      handle: (call) => remindGroupmsgSend(world, call),
    },
    '/cgi-bin/externalcontact/cancel_groupmsg_send': {
      writes: true,
      handle: (call) => cancelGroupmsgSend(world, call),
    },
  }
}

function addMsgTemplate(world: World, { params, now }: Call): Reply {
  const chatType = params['chat_type'] ?? 'single'
  if (chatType !== 'single' && chatType !== 'group') throw new Refusal(86214, 'invalid chat_type')
  if (params['sender'] === '')
    throw new Refusal(40058, 'field sender unexpected empty string. invalid Request Parameter')
  const body = read(NewMass, params)
  const content = readContent(world, body.text, body.attachments, now)
  const sender = body.sender === undefined ? undefined : memberId(world, body.sender)
  const { targets, senders, failed } = withinQuota(
    world,
    chatType === 'group'
      ? chooseChats(world, body.chat_id_list ?? undefined, sender)
      : chooseTargets(world, body.external_userid ?? undefined, sender, body.tag_filter?.group_list),
    now,
  )
  if (senders.length === 0) throw new Refusal(41048, `no ${chatType === 'group' ? 'group' : 'customer'} can be sent to`)
  return { fail_list: failed, msgid: createTask(world, chatType, content, targets, senders, body.allow_select, now) }
}

function getGroupmsgListV2({ state }: World, { params }: Call): Reply {
  const Body = z.object({
    chat_type: z.enum(['single', 'group']),
    start_time: z.int(),
    end_time: z.int(),
    creator: OptionalText,
    filter_type: z.int().min(0).max(2).default(2),
    limit: z.int().min(1).nullish(),
    cursor: OptionalText,
  })
  const { chat_type, start_time: start, end_time: end, creator, filter_type, limit, cursor } = read(Body, params)
  if (end < start || (end - start) * SECOND_MS > MAX_SPAN_MS)
    throw new Refusal(40058, 'end_time - start_time out of range. invalid Request Parameter')
  const size = pageSize(limit, 50, 100)
  const from = fromCursor(cursor, z.tuple([z.literal('list'), z.int(), z.string()]))
  const rows = state.all<MassRow>(
    `SELECT * FROM mass WHERE created_ms >= ? AND created_ms < ? AND (created_ms, msgid) > (?, ?) AND chat_type = ?
       AND (? = 2 OR (creator IS NOT NULL) = ?) AND (? IS NULL OR creator = ?) ORDER BY created_ms, msgid LIMIT ?`,
    start * SECOND_MS, (end + 1) * SECOND_MS, from?.[1] ?? -1, from?.[2] ?? '', chat_type,
    filter_type, filter_type, creator ?? null, creator ?? null, size + 1,
  ) // prettier-ignore
  const page = rows.slice(0, size)
  const last = page.at(-1)
  return {
    next_cursor: rows.length > size && last !== undefined ? toCursor('list', last.created_ms, last.msgid) : '',
    group_msg_list: page.map((row) => {
      const { text, attachments } = JSON.parse(row.content) as Content
      return {
        msgid: row.msgid,
        // What an app made has no creator, and counts as the company's own.
        ...(row.creator === null ? {} : { creator: row.creator }),
        create_time: Math.floor(row.created_ms / SECOND_MS),
        create_type: row.creator === null ? 0 : 1,
        ...(text === '' ? {} : { text: { content: text } }),
        attachments,
      }
    }),
  }
}

function getGroupmsgTask(world: World, { params, now }: Call): Reply {
  const { msgid, limit, cursor } = read(TaskQuery, params)
  if (dispatched(world, msgid, now).cancelled === 1) throw new Refusal(41093, 'group message canceled')
  const from = fromCursor(cursor, TaskCursor)?.[1] ?? ''
  const size = pageSize(limit, 500, 1_000)
  const rows = world.state.many<{ user_id: string; status: number; sent_ms: number | null }>(
    'SELECT * FROM mass_task WHERE msgid = ? AND user_id > ? ORDER BY user_id LIMIT ?',
    msgid!,
    from,
    size + 1,
  )
  const page = rows.slice(0, size)
  return {
    next_cursor: rows.length > size ? toCursor('task', page.at(-1)!.user_id) : '',
    task_list: page.map((r) => ({ userid: r.user_id, status: r.status, ...sendTime(r.sent_ms) })),
  }
}

function getGroupmsgSendResult(world: World, { params, now }: Call): Reply {
  const { msgid, userid, limit, cursor } = read(ResultQuery, params)
  const { chat_type: chatType } = dispatched(world, msgid, now)
  const userId = memberId(world, userid)
  const from = fromCursor(cursor, ResultCursor)?.[1] ?? ''
  const size = pageSize(limit, 500, 1_000)
  const rows = world.state.many<{ external_user_id: string; status: number; sent_ms: number | null }>(
    'SELECT * FROM mass_target WHERE msgid = ? AND user_id = ? AND external_user_id > ? ORDER BY external_user_id LIMIT ?',
    msgid!, userId, from, size + 1,
  ) // prettier-ignore
  const page = rows.slice(0, size)
  const settled = isSettled(world, msgid!, userId, now)
  const idField = chatType === 'group' ? 'chat_id' : 'external_userid'
  return {
    next_cursor: rows.length > size ? toCursor('result', page.at(-1)!.external_user_id) : '',
    send_list: page.map((r) => ({
      [idField]: r.external_user_id,
      userid: userId,
      status: settled ? r.status : 0,
      ...sendTime(settled ? r.sent_ms : null),
    })),
  }
}

function remindGroupmsgSend(world: World, { params, now }: Call): Reply {
  const { msgid } = read(z.object({ msgid: OptionalText }), params)
  const mass = dispatched(world, msgid, now)
  if (mass.cancelled === 1) throw new Refusal(41093, 'group message canceled')
  const sinceMs = now.getTime() - DAY_MS
  const recent = world.state.get<{ n: number }>(
    'SELECT count(*) AS n FROM reminder WHERE msgid = ? AND at_ms > ?',
    msgid!,
    sinceMs,
  )!.n
  if (recent >= REMINDERS_PER_DAY) throw new Refusal(41094, 'remind too frequently')
  world.state.run('INSERT INTO reminder VALUES (?, ?)', msgid!, now.getTime())
  const nth = world.state.get<{ n: number }>('SELECT count(*) AS n FROM reminder WHERE msgid = ?', msgid!)!.n
  for (const userId of waitingMembers(world, msgid!))
    world.sending.scheduleConfirm(msgid!, userId, mass.draw_key, `remind-${nth}`, now)
  return {}
}

function cancelGroupmsgSend(world: World, { params, now }: Call): Reply {
  const { msgid } = read(z.object({ msgid: OptionalText }), params)
  if (dispatched(world, msgid, now).cancelled === 1) throw new Refusal(41093, 'group message canceled')
  // Where every member has sent already there is nothing left to cancel.
  if (waitingMembers(world, msgid!).length > 0) world.state.run('UPDATE mass SET cancelled = 1 WHERE msgid = ?', msgid!)
  return {}
}

/** @throws {Refusal} 41046, 41047, and 41063 while it is on its way to the members */
function dispatched(world: World, msgid: string | undefined, now: Date): MassRow {
  if (msgid === undefined) throw new Refusal(41046, 'missing msgid')
  const mass = world.state.get<MassRow>('SELECT * FROM mass WHERE msgid = ?', msgid)
  if (mass === undefined) throw new Refusal(41047, 'invalid msgid')
  if (now.getTime() < mass.created_ms + world.scenario.behaviour.dispatchMs)
    throw new Refusal(41063, 'group message is dispatching')
  return mass
}

/** Customers' results follow the member's tap by some time. */
function isSettled(world: World, msgid: string, userId: string, now: Date): boolean {
  const task = world.state.get<{ sent_ms: number | null }>(
    'SELECT sent_ms FROM mass_task WHERE msgid = ? AND user_id = ?',
    msgid,
    userId,
  )
  return now.getTime() >= (task?.sent_ms ?? Infinity) + world.scenario.behaviour.resultsSettleMs
}

function waitingMembers({ state }: World, msgid: string): string[] {
  return state
    .all<{ user_id: string }>('SELECT user_id FROM mass_task WHERE msgid = ? AND status = 0 ORDER BY user_id', msgid)
    .map((r) => r.user_id)
}

/** One member per customer: the sender, or else whoever was in touch with the customer last. */
function chooseTargets(
  world: World,
  ids: readonly string[] | undefined,
  sender: string | undefined,
  tagGroups: readonly { tag_list: readonly string[] }[] | undefined,
): Tasks {
  if (ids === undefined || ids.length === 0) {
    if (sender === undefined && tagGroups === undefined)
      throw new Refusal(40058, 'sender, external_userid and tag_filter unexpected empty. invalid Request Parameter')
    const all = world.state.many<Target>(
      `SELECT user_id, external_user_id FROM relation WHERE status = 'active' AND (? IS NULL OR user_id = ?) ORDER BY external_user_id, last_ms DESC, created_ms, user_id`,
      sender ?? null,
      sender ?? null,
    )
    return tasksOf(onePerCustomer(all.filter((t) => hasTags(world, t, tagGroups ?? []))), [])
  }
  const wanted = [...new Set(ids)]
  const found = world.state.many<Target>(
    `SELECT user_id, external_user_id FROM relation WHERE ${sender === undefined ? '' : 'user_id = ? AND'} status = 'active'
       AND external_user_id IN (SELECT value FROM json_each(?)) ORDER BY external_user_id, last_ms DESC, created_ms, user_id`,
    ...(sender === undefined ? [] : [sender]),
    JSON.stringify(wanted),
  )
  const targets = onePerCustomer(found)
  const reached = new Set(targets.map((t) => t.external_user_id))
  const failed = wanted.filter((id) => !reached.has(id))
  return tasksOf(targets, failed)
}

/**
 * Groups go through their owners. Without a list the members choose when they send: all their groups. Whether a sender
 * may be left out is open (the page says no, a live test yes).
 */
function chooseChats(world: World, ids: readonly string[] | undefined, sender: string | undefined): Tasks {
  if (sender === undefined && world.scenario.behaviour.groupSender === 'required')
    throw new Refusal(40058, 'sender unexpected empty. invalid Request Parameter')
  const owned = (chatId: string) => {
    const chat = world.chats.get(chatId)
    const open = chat !== undefined && chat.dismissedAt === undefined && (sender === undefined || chat.owner === sender)
    return open && world.member(chat.owner) !== undefined ? chat.owner : undefined
  }
  if (ids === undefined || ids.length === 0) {
    const owners = sender === undefined ? {} : { owners: [sender] }
    const chats = world.chats.list({ ...owners, limit: Number.MAX_SAFE_INTEGER })
    const senders = chats.map((chat) => chat.owner).filter((id) => world.member(id) !== undefined)
    return { targets: [], senders: [...new Set(senders)].sort(), failed: [] }
  }
  const targets: Target[] = []
  const failed: string[] = []
  for (const id of new Set(ids)) {
    const owner = owned(id)
    if (owner === undefined) failed.push(id)
    else targets.push({ external_user_id: id, user_id: owner })
  }
  return tasksOf(targets, failed)
}

/** Where a used-up quota shows at once, those who have had their share fail here and not when the member sends. */
function withinQuota(world: World, { targets, senders, failed }: Tasks, now: Date): Tasks {
  if (world.scenario.behaviour.quotaStatus !== 'at_creation' || targets.length === 0)
    return { targets, senders, failed }
  const left = targets.filter((t) => world.sending.hasQuota(t.external_user_id, now))
  const over = targets.filter((t) => !left.includes(t)).map((t) => t.external_user_id)
  return tasksOf(left, [...failed, ...over])
}

/** Within one group any tag will do; every group must match. */
function hasTags({ state }: World, target: Target, groups: readonly { tag_list: readonly string[] }[]): boolean {
  return groups.every(({ tag_list }) =>
    tag_list.some((tagId) => {
      if (state.get('SELECT 1 FROM tag WHERE tag_id = ?', tagId) === undefined)
        throw new Refusal(40068, `invalid tagid: ${tagId}`)
      return (
        state.get(
          'SELECT 1 FROM relation_tag WHERE user_id = ? AND external_user_id = ? AND tag_id = ?',
          target.user_id,
          target.external_user_id,
          tagId,
        ) !== undefined
      )
    }),
  )
}

function createTask(
  world: World,
  chatType: ChatType,
  content: Content,
  targets: readonly Target[],
  senders: readonly string[],
  allowSelect: boolean,
  now: Date,
): string {
  const pairs = targets.map((t) => `${t.user_id}/${t.external_user_id}`).sort()
  const receivers = chatType === 'single' ? pairs : [chatType, ...senders, ...pairs]
  const drawKey = hashKey(32, content.text, JSON.stringify(content.attachments), ...receivers)
  let msgid = ''
  for (let n = 0; msgid === '' || world.state.get('SELECT 1 FROM mass WHERE msgid = ?', msgid) !== undefined; n++) {
    msgid = `msg${hashKey(29, 'mass', now.getTime(), drawKey, n)}`
  }
  world.state.run(
    'INSERT INTO mass (msgid, created_ms, content, content_hash, draw_key, chat_type, allow_select) VALUES (?, ?, ?, ?, ?, ?, ?)',
    msgid, now.getTime(), JSON.stringify(content), contentHashOf(content.text, content.link?.url), drawKey,
    chatType, allowSelect ? 1 : 0,
  ) // prettier-ignore
  world.state.run(
    'INSERT INTO mass_target (msgid, user_id, external_user_id) SELECT ?, value ->> 0, value ->> 1 FROM json_each(?)',
    msgid,
    JSON.stringify(targets.map((t) => [t.user_id, t.external_user_id])),
  )
  for (const userId of senders) {
    world.state.run('INSERT INTO mass_task (msgid, user_id) VALUES (?, ?)', msgid, userId)
    world.sending.scheduleConfirm(msgid, userId, drawKey, 'confirm', now)
  }
  return msgid
}

function tasksOf(targets: Target[], failed: string[]): Tasks {
  return { targets, senders: [...new Set(targets.map((t) => t.user_id))].sort(), failed }
}

function onePerCustomer(sorted: readonly Target[]): Target[] {
  return sorted.filter((t, i) => sorted[i - 1]?.external_user_id !== t.external_user_id)
}

function sendTime(sentMs: number | null): { send_time?: number } {
  return sentMs === null ? {} : { send_time: Math.floor(sentMs / SECOND_MS) }
}
