import { z } from 'zod'
import { hashKey } from '../../src/random.js'
import { DAY_MS, SECOND_MS } from '../../src/time.js'
import { contentHashOf, type Content, type MessageLink, type World } from '../world/world.js'
import {
  checkBytes,
  checkUrl,
  type Endpoints,
  fromCursor,
  memberId,
  OptionalText,
  read,
  Refusal,
  toCursor,
} from './endpoint.js'

/** Page 92135 (2025-11-17). */
const MAX_TARGETS = 10_000
const MAX_ATTACHMENTS = 9
const MAX_TEXT_BYTES = 4_000
const MAX_SPAN_MS = 31 * DAY_MS
const REMINDERS_PER_DAY = 3

const Attachment = z.object({ msgtype: z.string() }).loose()
const Bodies = {
  image: z.object({ media_id: OptionalText, pic_url: OptionalText }),
  link: z.object({ title: z.string().min(1), url: z.string().min(1), picurl: OptionalText, desc: OptionalText }),
  miniprogram: z.object({
    title: z.string().min(1),
    pic_media_id: z.string().min(1),
    appid: z.string().min(1),
    page: z.string().min(1),
  }),
  video: z.object({ media_id: z.string().min(1) }),
  file: z.object({ media_id: z.string().min(1) }),
}

/** Text and attachments of mass and welcome messages. */
export const ContentBody = {
  text: z.object({ content: OptionalText }).nullish(),
  attachments: z
    .array(Attachment)
    .nullish()
    .transform((list) => list ?? []),
}

/** @throws {Refusal} 40058, 41064, 41065, 40007, 45034 */
export function readContent(
  world: World,
  text: { content?: string | undefined } | null | undefined,
  attachments: readonly z.infer<typeof Attachment>[],
  now: Date,
): Content {
  const content = text?.content ?? ''
  checkBytes('text.content', content, MAX_TEXT_BYTES)
  if (attachments.length > MAX_ATTACHMENTS) throw new Refusal(41064, 'attachments count out of limit')
  if (content === '' && attachments.length === 0)
    throw new Refusal(40058, 'text and attachments unexpected empty. invalid Request Parameter')
  let link: MessageLink | undefined
  for (const attachment of attachments) {
    const type = attachment.msgtype as keyof typeof Bodies
    if (!(type in Bodies)) throw new Refusal(41065, 'invalid attachment msgtype')
    const body = read(Bodies[type], (attachment[type] ?? {}) as Record<string, unknown>)
    if ('title' in body) checkBytes(`attachments.${type}.title`, body.title, type === 'link' ? 128 : 64)
    if ('url' in body) {
      checkUrl('attachments.link.url', body.url)
      checkBytes('attachments.link.desc', body.desc ?? '', 512)
      link ??= { title: body.title, url: body.url, ...(body.desc === undefined ? {} : { description: body.desc }) }
    }
    if (type === 'image' && 'pic_url' in body && body.media_id === undefined && body.pic_url === undefined) {
      throw new Refusal(40058, 'attachments.image unexpected empty. invalid Request Parameter')
    }
    const mediaId = 'media_id' in body ? body.media_id : 'pic_media_id' in body ? body.pic_media_id : undefined
    if (mediaId !== undefined) checkMedia(world, mediaId, now)
  }
  return { text: content, attachments, ...(link === undefined ? {} : { link }) }
}

/** Temporary media live three days (page 90253). @throws {Refusal} 40007 */
export function checkMedia(world: World, mediaId: string, now: Date): void {
  const row = world.state.get<{ created_ms: number }>(
    'SELECT created_ms FROM media WHERE media_id = ? AND permanent = 0',
    mediaId,
  )
  if (row === undefined || now.getTime() >= row.created_ms + 3 * DAY_MS) throw new Refusal(40007, 'invalid media_id')
}

type MassRow = { msgid: string; created_ms: number; content: string; draw_key: string; cancelled: number }
type Target = { external_user_id: string; user_id: string }

/** Mass messages to customers (page 92135 and its neighbours): a task for members, who alone can send. */
export function massEndpoints(world: World): Endpoints {
  const { state } = world
  return {
    '/cgi-bin/externalcontact/add_msg_template': {
      writes: true,
      empty: { fail_list: [] },
      handle: ({ params, now }) => {
        const chatType = params['chat_type'] ?? 'single'
        if (chatType !== 'single' && chatType !== 'group') throw new Refusal(86214, 'invalid chat_type')
        if (params['sender'] === '')
          throw new Refusal(40058, 'field sender unexpected empty string. invalid Request Parameter')
        const Body = z.object({
          external_userid: z.array(z.string()).max(MAX_TARGETS, `exceed max size ${MAX_TARGETS}`).nullish(),
          sender: z.string().optional(),
          tag_filter: z
            .object({ group_list: z.array(z.object({ tag_list: z.array(z.string()).min(1).max(100) })).min(1) })
            .nullish(),
          allow_select: z.boolean().default(false),
          ...ContentBody,
        })
        const body = read(Body, params)
        const content = readContent(world, body.text, body.attachments, now)
        if (chatType === 'group') throw new Refusal(41048, 'no group can be sent to') // groups are not there yet
        const sender = body.sender === undefined ? undefined : memberId(world, body.sender)
        const { targets, failed } = chooseTargets(
          body.external_userid ?? undefined,
          sender,
          body.tag_filter?.group_list,
        )
        if (targets.length === 0) throw new Refusal(41048, 'no customer can be sent to')
        return { fail_list: failed, msgid: createTask(content, targets, now) }
      },
    },
    '/cgi-bin/externalcontact/get_groupmsg_list_v2': {
      empty: { group_msg_list: [] },
      handle: ({ params }) => {
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
        // Everything here was made through the API: it has no creator and counts as the company's own.
        if (chat_type === 'group' || creator !== undefined || filter_type === 1)
          return { next_cursor: '', group_msg_list: [] }
        const size = pageSize(limit, 50, 100)
        const from = fromCursor(cursor, z.tuple([z.literal('list'), z.int(), z.string()]))
        const rows = state.all<MassRow>(
          `SELECT * FROM mass WHERE created_ms >= ? AND created_ms < ? AND (created_ms, msgid) > (?, ?) ORDER BY created_ms, msgid LIMIT ?`,
          start * SECOND_MS, (end + 1) * SECOND_MS, from?.[1] ?? -1, from?.[2] ?? '', size + 1,
        ) // prettier-ignore
        const page = rows.slice(0, size)
        const last = page.at(-1)
        return {
          next_cursor: rows.length > size && last !== undefined ? toCursor('list', last.created_ms, last.msgid) : '',
          group_msg_list: page.map((row) => {
            const { text, attachments } = JSON.parse(row.content) as Content
            return {
              msgid: row.msgid,
              create_time: Math.floor(row.created_ms / SECOND_MS),
              create_type: 0,
              ...(text === '' ? {} : { text: { content: text } }),
              attachments,
            }
          }),
        }
      },
    },
    '/cgi-bin/externalcontact/get_groupmsg_task': {
      empty: { task_list: [] },
      handle: ({ params }) => {
        const Body = z.object({ msgid: OptionalText, limit: z.int().min(1).nullish(), cursor: OptionalText })
        const { msgid, limit, cursor } = read(Body, params)
        if (massOf(msgid).cancelled === 1) throw new Refusal(41093, 'group message canceled')
        const from = fromCursor(cursor, z.tuple([z.literal('task'), z.string()]))?.[1] ?? ''
        const size = pageSize(limit, 500, 1_000)
        const rows = state.all<{ user_id: string; status: number; sent_ms: number | null }>(
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
      },
    },
    '/cgi-bin/externalcontact/get_groupmsg_send_result': {
      empty: { send_list: [] },
      handle: ({ params }) => {
        const Body = z.object({
          msgid: OptionalText,
          userid: OptionalText,
          limit: z.int().min(1).nullish(),
          cursor: OptionalText,
        })
        const { msgid, userid, limit, cursor } = read(Body, params)
        massOf(msgid)
        const userId = memberId(world, userid)
        const from = fromCursor(cursor, z.tuple([z.literal('result'), z.string()]))?.[1] ?? ''
        const size = pageSize(limit, 500, 1_000)
        const rows = state.all<{ external_user_id: string; status: number; sent_ms: number | null }>(
          'SELECT * FROM mass_target WHERE msgid = ? AND user_id = ? AND external_user_id > ? ORDER BY external_user_id LIMIT ?',
          msgid!, userId, from, size + 1,
        ) // prettier-ignore
        const page = rows.slice(0, size)
        return {
          next_cursor: rows.length > size ? toCursor('result', page.at(-1)!.external_user_id) : '',
          send_list: page.map((r) => ({
            external_userid: r.external_user_id,
            userid: userId,
            status: r.status,
            ...sendTime(r.sent_ms),
          })),
        }
      },
    },
    '/cgi-bin/externalcontact/remind_groupmsg_send': {
      writes: true,
      handle: ({ params, now }) => {
        const { msgid } = read(z.object({ msgid: OptionalText }), params)
        const mass = massOf(msgid)
        if (mass.cancelled === 1) throw new Refusal(41093, 'group message canceled')
        const sinceMs = now.getTime() - DAY_MS
        const recent = state.get<{ n: number }>(
          'SELECT count(*) AS n FROM reminder WHERE msgid = ? AND at_ms > ?',
          msgid!,
          sinceMs,
        )!.n
        if (recent >= REMINDERS_PER_DAY) throw new Refusal(41094, 'remind too frequently')
        state.run('INSERT INTO reminder VALUES (?, ?)', msgid!, now.getTime())
        const nth = state.get<{ n: number }>('SELECT count(*) AS n FROM reminder WHERE msgid = ?', msgid!)!.n
        for (const userId of waitingMembers(msgid!))
          world.scheduleConfirm(msgid!, userId, mass.draw_key, `remind-${nth}`, now)
        return {}
      },
    },
    '/cgi-bin/externalcontact/cancel_groupmsg_send': {
      writes: true,
      handle: ({ params }) => {
        const { msgid } = read(z.object({ msgid: OptionalText }), params)
        if (massOf(msgid).cancelled === 1) throw new Refusal(41093, 'group message canceled')
        // Where every member has sent already there is nothing left to cancel.
        if (waitingMembers(msgid!).length > 0) state.run('UPDATE mass SET cancelled = 1 WHERE msgid = ?', msgid!)
        return {}
      },
    },
  }

  function massOf(msgid: string | undefined): MassRow {
    if (msgid === undefined) throw new Refusal(41046, 'missing msgid')
    const mass = state.get<MassRow>('SELECT * FROM mass WHERE msgid = ?', msgid)
    if (mass === undefined) throw new Refusal(41047, 'invalid msgid')
    return mass
  }

  function waitingMembers(msgid: string): string[] {
    return state
      .all<{ user_id: string }>('SELECT user_id FROM mass_task WHERE msgid = ? AND status = 0 ORDER BY user_id', msgid)
      .map((r) => r.user_id)
  }

  /** One member per customer: the sender, or else whoever was in touch with the customer last. */
  function chooseTargets(
    ids: readonly string[] | undefined,
    sender: string | undefined,
    tagGroups: readonly { tag_list: readonly string[] }[] | undefined,
  ): { targets: Target[]; failed: string[] } {
    if (ids === undefined || ids.length === 0) {
      if (sender === undefined && tagGroups === undefined)
        throw new Refusal(40058, 'sender, external_userid and tag_filter unexpected empty. invalid Request Parameter')
      const all = state.all<Target>(
        `SELECT user_id, external_user_id FROM relation WHERE status = 'active' AND (? IS NULL OR user_id = ?) ORDER BY external_user_id, last_ms DESC, created_ms, user_id`,
        sender ?? null,
        sender ?? null,
      )
      return { targets: onePerCustomer(all.filter((t) => hasTags(t, tagGroups ?? []))), failed: [] }
    }
    const targets: Target[] = []
    const failed: string[] = []
    for (const id of new Set(ids)) {
      const found = state.get<Target>(
        `SELECT user_id, external_user_id FROM relation WHERE external_user_id = ? AND status = 'active' AND (? IS NULL OR user_id = ?) ORDER BY last_ms DESC, created_ms, user_id LIMIT 1`,
        id, sender ?? null, sender ?? null,
      ) // prettier-ignore
      if (found === undefined) failed.push(id)
      else targets.push(found)
    }
    return { targets, failed }
  }

  /** Within one group any tag will do; every group must match. */
  function hasTags(target: Target, groups: readonly { tag_list: readonly string[] }[]): boolean {
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

  function createTask(content: Content, targets: readonly Target[], now: Date): string {
    const pairs = targets.map((t) => `${t.user_id}/${t.external_user_id}`).sort()
    const drawKey = hashKey(32, content.text, JSON.stringify(content.attachments), ...pairs)
    let msgid = ''
    for (let n = 0; msgid === '' || state.get('SELECT 1 FROM mass WHERE msgid = ?', msgid) !== undefined; n++) {
      msgid = `msg${hashKey(29, 'mass', now.getTime(), drawKey, n)}`
    }
    const contentHash = contentHashOf(content.text, content.link?.url)
    state.run(
      'INSERT INTO mass (msgid, created_ms, content, content_hash, draw_key) VALUES (?, ?, ?, ?, ?)',
      msgid,
      now.getTime(),
      JSON.stringify(content),
      contentHash,
      drawKey,
    )
    for (const t of targets) {
      state.run(
        'INSERT INTO mass_target (msgid, user_id, external_user_id) VALUES (?, ?, ?)',
        msgid,
        t.user_id,
        t.external_user_id,
      )
    }
    for (const userId of [...new Set(targets.map((t) => t.user_id))].sort()) {
      state.run('INSERT INTO mass_task (msgid, user_id) VALUES (?, ?)', msgid, userId)
      world.scheduleConfirm(msgid, userId, drawKey, 'confirm', now)
    }
    return msgid
  }
}

function onePerCustomer(sorted: readonly Target[]): Target[] {
  return sorted.filter((t, i) => sorted[i - 1]?.external_user_id !== t.external_user_id)
}

/** Above the maximum these lists fall back to their default. */
function pageSize(limit: number | null | undefined, fallback: number, max: number): number {
  return limit === null || limit === undefined || limit > max ? fallback : limit
}

function sendTime(sentMs: number | null): { send_time?: number } {
  return sentMs === null ? {} : { send_time: Math.floor(sentMs / SECOND_MS) }
}
