import { z } from 'zod'
import { hashKey, unitOf } from '../../../src/random.js'
import { DAY_MS, SECOND_MS } from '../../../src/time.js'
import { type Objects, openObjects } from '../../objects.js'
import { drawHandledAt, drawReadAt } from '../../world/draws.js'
import type { World } from '../../world/world.js'
import {
  type Call,
  checkBytes,
  checkUrl,
  type Endpoints,
  memberId,
  OptionalText,
  read,
  Refusal,
  type Reply,
} from '../core/endpoint.js'
import { checkMedia } from './media.js'
import { momentStrategyEndpoints } from './moment-strategies.js'
import { numbered, readPage } from '../core/pages.js'
import { departmentMembers } from './recipients.js'

/** Page 95094 (2025-09-11). */
const MAX_TEXT = { chars: 2_000, bytes: 4_000 }
const MAX_IMAGES = 9
const MAX_SENDERS = 100_000
const JOB_MS = DAY_MS
/** Page 93333. */
const MAX_SPAN_MS = 30 * DAY_MS

type Attachment = { msgtype: 'image' | 'video' | 'link' } & Record<string, unknown>
export type Moment = {
  /** Of a member who published it on her own; absent for those of apps. */
  creator?: string
  createdMs: number
  text: string
  attachments: Attachment[]
  senders: string[]
  /** Customers with one of these see it; empty: all of them. */
  tags: string[]
  cancelledMs?: number
  /** What decides who publishes it and when: the content, not the id. */
  drawKey: string
}
type Job = { createdMs: number; momentId?: string; invalid: { users: string[]; departments: number[]; tags: string[] } }

/** Of the customers who see a moment; nobody publishes such figures, so these are plain guesses. */
const LIKE_RATIO = 0.05
const COMMENT_RATIO = 0.02

const PATH = '/cgi-bin/externalcontact'
const Id = { moment_id: OptionalText }

/**
 * Moments to customers (客户朋友圈, pages 95094, 93333, 93506). Who publishes and who likes is drawn from what is asked
 * about, so nothing has to be stored or scheduled for it.
 */
export function momentEndpoints(world: World): Endpoints {
  return {
    [`${PATH}/add_moment_task`]: { writes: true, handle: (call) => addMomentTask(world, call) },
    [`${PATH}/get_moment_task_result`]: { handle: (call) => getMomentTaskResult(world, call) },
    [`${PATH}/cancel_moment_task`]: { writes: true, handle: (call) => cancelMomentTask(world, call) },
    [`${PATH}/get_moment_list`]: { empty: { moment_list: [] }, handle: (call) => getMomentList(world, call) },
    [`${PATH}/get_moment_task`]: { empty: { task_list: [] }, handle: (call) => getMomentTask(world, call) },
    [`${PATH}/get_moment_customer_list`]: {
      empty: { customer_list: [] },
      handle: (call) => getMomentCustomerList(world, call),
    },
    [`${PATH}/get_moment_send_result`]: {
      empty: { customer_list: [] },
      handle: (call) => getMomentSendResult(world, call),
    },
    [`${PATH}/get_moment_comments`]: {
      empty: { comment_list: [], like_list: [] },
      handle: (call) => getMomentComments(world, call),
    },
    ...momentStrategyEndpoints(world),
  }
}

function jobsOf({ state, seed }: World): Objects<Job> {
  return openObjects<Job>(state, seed, 'moment_job')
}

function momentsOf({ state, seed }: World): Objects<Moment> {
  return openObjects<Moment>(state, seed, 'moment')
}

function addMomentTask(world: World, { params, now }: Call): Reply {
  const jobs = jobsOf(world)
  const Body = z.object({
    text: z.object({ content: OptionalText }).nullish(),
    attachments: z.array(z.object({ msgtype: z.string() }).loose()).nullish(),
    visible_range: z
      .object({
        sender_list: z
          .object({
            user_list: z.array(z.string()).max(MAX_SENDERS).nullish(),
            department_list: z.array(z.int()).nullish(),
          })
          .nullish(),
        external_contact_list: z.object({ tag_list: z.array(z.string()).nullish() }).nullish(),
      })
      .nullish(),
  })
  const { text, attachments, visible_range: range } = read(Body, params)
  const content = checkContent(world, text?.content ?? '', attachments ?? undefined, now)
  const { senders, invalid } = sendersOf(world, range?.sender_list ?? undefined)
  const asked = range?.external_contact_list?.tag_list ?? []
  const tags = asked.filter((id) => world.state.get('SELECT 1 FROM tag WHERE tag_id = ?', id) !== undefined)
  const jobId = jobs.newId('', 43)
  const job: Job = {
    createdMs: now.getTime(),
    invalid: { ...invalid, tags: asked.filter((id) => !tags.includes(id)) },
  }
  const publishers = tags.length === 0 ? senders : senders.filter((userId) => audience(world, userId, tags).length > 0)
  if (publishers.length > 0 && !(asked.length > 0 && tags.length === 0)) {
    job.momentId = putMoment(world, { ...content, createdMs: now.getTime(), senders: publishers, tags })
  }
  jobs.put(jobId, job)
  return { jobid: jobId }
}

function getMomentTaskResult(world: World, { params, now }: Call): Reply {
  const jobs = jobsOf(world)
  const { jobid } = read(z.object({ jobid: OptionalText }), params)
  const job = jobid === undefined ? undefined : jobs.get(jobid)
  if (job === undefined || now.getTime() > job.createdMs + JOB_MS)
    throw new Refusal(40058, 'jobid invalid. invalid Request Parameter')
  if (isDispatching(world, job.createdMs, now)) return { status: 2, type: 'add_moment_task' }
  const { users, departments, tags } = job.invalid
  const result = {
    ...(job.momentId === undefined
      ? { errcode: 40058, errmsg: 'no sender or tag is valid' }
      : { errcode: 0, errmsg: 'ok', moment_id: job.momentId }),
    invalid_sender_list: { user_list: users, department_list: departments },
    invalid_external_contact_list: { tag_list: tags },
  }
  return { status: 3, type: 'add_moment_task', result }
}

function cancelMomentTask(world: World, { params, now }: Call): Reply {
  const moments = momentsOf(world)
  const { id, moment } = momentOf(world, read(z.object(Id), params).moment_id)
  if (moment.creator !== undefined) throw new Refusal(41067, 'invalid moment type')
  if (isDispatching(world, moment.createdMs, now)) throw new Refusal(41079, 'moment is dispatching')
  moments.put(id, { ...moment, cancelledMs: moment.cancelledMs ?? now.getTime() })
  return {}
}

function getMomentList(world: World, { params }: Call): Reply {
  const moments = momentsOf(world)
  const Body = z.object({
    start_time: z.int(),
    end_time: z.int(),
    creator: OptionalText,
    filter_type: z.int().min(0).max(2).default(2),
  })
  const { start_time: start, end_time: end, creator, filter_type } = read(Body, params)
  if (end < start || (end - start) * SECOND_MS > MAX_SPAN_MS)
    throw new Refusal(40058, 'end_time - start_time out of range. invalid Request Parameter')
  // The interval is open at both ends.
  const found = moments
    .list()
    .filter(({ body }) => body.createdMs > start * SECOND_MS && body.createdMs < end * SECOND_MS)
    .filter(({ body }) => filter_type === 2 || (body.creator === undefined) === (filter_type === 0))
    .filter(({ body }) => creator === undefined || body.creator === creator)
  const { rows, next_cursor } = readPage(params, { what: 'moment', fallback: 20, max: 20 }, numbered(found))
  return { next_cursor, moment_list: rows.map(({ item }) => toListed(item.id, item.body)) }
}

function getMomentTask(world: World, { params, now }: Call): Reply {
  const { moment } = momentOf(world, read(z.object(Id), params).moment_id)
  if (moment.creator !== undefined) throw new Refusal(41067, 'invalid moment type')
  if (isDispatching(world, moment.createdMs, now)) throw new Refusal(41079, 'moment is dispatching')
  const { rows, next_cursor } = readPage(
    params,
    { what: 'moment_task', fallback: 500, max: 1_000 },
    numbered(moment.senders),
  )
  return {
    next_cursor,
    task_list: rows.map(({ item: userId }) => ({
      userid: userId,
      publish_status: publishedAt(world, moment, userId, now) === undefined ? 0 : 1,
    })),
  }
}

function getMomentCustomerList(world: World, { params }: Call): Reply {
  const { moment, userId } = ofSender(world, params)
  const customers = numbered(audience(world, userId, moment.tags))
  const { rows, next_cursor } = readPage(params, { what: 'moment_customer', fallback: 500, max: 1_000 }, customers)
  return { next_cursor, customer_list: rows.map(({ item }) => ({ userid: userId, external_userid: item })) }
}

function getMomentSendResult(world: World, { params, now }: Call): Reply {
  const { moment, userId } = ofSender(world, params)
  const seen = publishedAt(world, moment, userId, now) === undefined ? [] : audience(world, userId, moment.tags)
  const rules = { what: 'moment_result', fallback: 3_000, max: 5_000 }
  const { rows, next_cursor } = readPage(params, rules, numbered(seen))
  return { next_cursor, customer_list: rows.map(({ item }) => ({ external_userid: item })) }
}

function getMomentComments(world: World, { params, now }: Call): Reply {
  const { moment, userId } = ofSender(world, params)
  const at = publishedAt(world, moment, userId, now)
  if (at === undefined) throw new Refusal(41062, 'moment is not published yet')
  const reactions = (what: string, ratio: number) =>
    audience(world, userId, moment.tags).flatMap((externalUserId) => {
      const about = `${what}/${userId}/${moment.drawKey}`
      if (unitOf(world.seed, 'moment', externalUserId, about) >= ratio) return []
      const readAt = drawReadAt(world.seed, world.scenario, externalUserId, about, at)
      if (readAt === undefined || readAt > now) return []
      return [{ external_userid: externalUserId, create_time: Math.floor(readAt.getTime() / SECOND_MS) }]
    })
  return { comment_list: reactions('comment', COMMENT_RATIO), like_list: reactions('like', LIKE_RATIO) }
}

function putMoment(world: World, moment: Omit<Moment, 'drawKey'>): string {
  const moments = momentsOf(world)
  const id = moments.newId('mom', 29)
  const { text, attachments, senders, tags } = moment
  moments.put(id, { ...moment, drawKey: hashKey(32, text, JSON.stringify(attachments), ...senders, ...tags) })
  return id
}

/** Text, and up to nine pictures, or one film, or one link. */
function checkContent(
  world: World,
  text: string,
  attachments: ({ msgtype: string } & Record<string, unknown>)[] | undefined,
  now: Date,
): { text: string; attachments: Attachment[] } {
  if ([...text].length > MAX_TEXT.chars || Buffer.byteLength(text) > MAX_TEXT.bytes)
    throw new Refusal(40058, 'invalid text size. invalid Request Parameter')
  if (attachments === undefined && text === '') throw new Refusal(41089, 'text and attachments both empty')
  if (attachments?.length === 0) throw new Refusal(41088, 'attachments empty')
  const list = attachments ?? []
  const kind = list[0]?.msgtype
  if (kind !== undefined && !['image', 'video', 'link'].includes(kind))
    throw new Refusal(41065, 'invalid attachment msgtype')
  if (list.some((a) => a.msgtype !== kind))
    throw new Refusal(40058, 'invalid attachments msgtype. invalid Request Parameter')
  if (list.length > (kind === 'image' ? MAX_IMAGES : 1))
    throw new Refusal(40058, 'invalid attachments size. invalid Request Parameter')
  for (const attachment of list) {
    const Body = z.object({ media_id: z.string().min(1), title: OptionalText, url: OptionalText })
    const { media_id, title, url } = read(Body, (attachment[attachment.msgtype] ?? {}) as Record<string, unknown>)
    checkMedia(world, media_id, now, kind === 'video' ? 'video' : 'image', 'moments')
    if (kind !== 'link') continue
    checkBytes('attachments.link.title', title ?? '', 64)
    checkUrl('attachments.link.url', url ?? '')
  }
  return { text, attachments: list as Attachment[] }
}

function sendersOf(
  world: World,
  list: { user_list?: string[] | null | undefined; department_list?: number[] | null | undefined } | undefined,
): { senders: string[]; invalid: { users: string[]; departments: number[] } } {
  const users = list?.user_list ?? []
  const departments = list?.department_list ?? []
  if (users.length === 0 && departments.length === 0) {
    return { senders: world.staff.employed.map((m) => m.userId), invalid: { users: [], departments: [] } }
  }
  const known = users.flatMap((id) => world.member(id)?.userId ?? [])
  const inside = departments.flatMap((id) => departmentMembers(world, id) ?? [])
  return {
    senders: [...new Set([...known, ...inside])],
    invalid: {
      users: users.filter((id) => world.member(id) === undefined),
      departments: departments.filter((id) => departmentMembers(world, id) === undefined),
    },
  }
}

/** Customers of a member who may see it, in the order of their ids. */
function audience({ state }: World, userId: string, tags: readonly string[]): string[] {
  const rows = state.all<{ external_user_id: string }>(
    `SELECT external_user_id FROM relation r WHERE user_id = ? AND status = 'active' AND (? = 0 OR EXISTS (
       SELECT 1 FROM relation_tag t WHERE t.user_id = r.user_id AND t.external_user_id = r.external_user_id
         AND t.tag_id IN (SELECT value FROM json_each(?)))) ORDER BY external_user_id`,
    userId,
    tags.length,
    JSON.stringify(tags),
  )
  return rows.map((r) => r.external_user_id)
}

/** When she published it; `undefined` as long as she has not. */
function publishedAt(world: World, moment: Moment, userId: string, now: Date): Date | undefined {
  if (moment.creator !== undefined) return new Date(moment.createdMs)
  const member = world.member(userId)
  if (member === undefined) return undefined
  const createdAt = new Date(moment.createdMs)
  const at = drawHandledAt(world.seed, member, world.scenario.timeZone, 'publish', moment.drawKey, createdAt)
  return at !== undefined && at <= now && at.getTime() <= (moment.cancelledMs ?? Infinity) ? at : undefined
}

function isDispatching(world: World, createdMs: number, now: Date): boolean {
  return now.getTime() < createdMs + world.scenario.behaviour.dispatchMs
}

function momentOf(world: World, id: string | undefined): { id: string; moment: Moment } {
  const moments = momentsOf(world)
  if (id === undefined) throw new Refusal(41059, 'missing moment_id')
  const moment = moments.get(id)
  if (moment === undefined) throw new Refusal(41060, 'invalid moment_id')
  return { id, moment }
}

function ofSender(world: World, params: Record<string, unknown>): { moment: Moment; userId: string } {
  const { moment_id, userid } = read(z.object({ ...Id, userid: OptionalText }), params)
  const { moment } = momentOf(world, moment_id)
  const userId = memberId(world, userid)
  if (!moment.senders.includes(userId)) throw new Refusal(41061, 'moment is not published by this userid')
  return { moment, userId }
}

function toListed(id: string, { creator, createdMs, text, attachments, tags }: Moment): Record<string, unknown> {
  const mediaOf = (a: Attachment) => (a[a.msgtype] as { media_id: string }).media_id
  const [first] = attachments
  return {
    moment_id: id,
    ...(creator === undefined ? {} : { creator }),
    create_time: Math.floor(createdMs / SECOND_MS),
    create_type: creator === undefined ? 0 : 1,
    visible_type: tags.length === 0 ? 1 : 0,
    ...(text === '' ? {} : { text: { content: text } }),
    ...(first?.msgtype === 'image' ? { image: attachments.map((a) => ({ media_id: mediaOf(a) })) } : {}),
    ...(first?.msgtype === 'video' ? { video: { media_id: mediaOf(first), thumb_media_id: mediaOf(first) } } : {}),
    ...(first?.msgtype === 'link' ? { link: linkOf(first) } : {}),
  }
}

function linkOf(attachment: Attachment): { title: string; url: string } {
  const { title, url } = attachment['link'] as { title?: string; url: string }
  return { title: title ?? '', url }
}
