import { z } from 'zod'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import { type Objects, openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import type { XmlFields } from '../../xml.js'
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
import { sees } from './visibility.js'
import { checkMember, targetsOf } from './ways.js'

/** Page 97297. */
const NAME_MAX = 30
const PEOPLE_MAX = 500
const LINKS_PER_PAGE = 100
const CUSTOMERS_PER_PAGE = 1_000
/** Page 97375. */
const SPAN_DAYS = 30
const BACK_DAYS = 180
/** Page 97299: at fewer than this the company is warned, and a chat key lives so long. */
const LOW_BALANCE = 20
const CHAT_KEY_MS = 30 * MINUTE_MS
const MESSAGES_TOLD = [3, 5, 10]

const Range = z
  .object({ user_list: z.array(z.string()).nullish(), department_list: z.array(z.int()).nullish() })
  .transform((range) => ({ user: range.user_list ?? [], party: range.department_list ?? [] }))
const Priority = z.object({
  priority_type: z.union([z.literal(1), z.literal(2)]),
  priority_userid_list: z.array(z.string()).default([]),
})

export type Link = {
  maker: string
  name: string
  url: string
  createdMs: number
  user: string[]
  party: number[]
  skipVerify: boolean
  priority?: z.infer<typeof Priority>
  /** How many customers have come by it. */
  scans: number
}
type LinkCustomer = { externalUserId: string; userId: string; state: string; messages: number }
type LinkDay = { clicks: number; added: number }
type ChatKey = { linkId: string; externalUserId: string; untilMs: number }

export function links({ state, seed }: World): Objects<Link> {
  return openObjects<Link>(state, seed, 'acquisition_link')
}
function customersOf({ state, seed }: World, linkId: string): Objects<LinkCustomer> {
  return openObjects<LinkCustomer>(state, seed, `link_customer:${linkId}`)
}
function daysOf({ state, seed }: World, linkId: string): Objects<LinkDay> {
  return openObjects<LinkDay>(state, seed, `link_day:${linkId}`)
}
function chatKeys({ state, seed }: World): Objects<ChatKey> {
  return openObjects<ChatKey>(state, seed, 'link_chat_key')
}

const PATH = '/cgi-bin/externalcontact/customer_acquisition'
const Name = z
  .string()
  .min(1)
  .refine((name) => [...name].length <= NAME_MAX, `exceed max length ${NAME_MAX}`)

/** Acquisition links (获客助手, pages 97297, 97298, 97375). An app sees the links it made. */
export function acquisitionEndpoints(world: World): Endpoints {
  return {
    [`${PATH}/list_link`]: { handle: (call) => listLink(world, call) },
    [`${PATH}/get`]: { handle: (call) => getLink(world, call) },
    [`${PATH}/create_link`]: { writes: true, handle: (call) => createLink(world, call) },
    [`${PATH}/update_link`]: { writes: true, handle: (call) => updateLink(world, call) },
    [`${PATH}/delete_link`]: { writes: true, handle: (call) => deleteOwnLink(world, call) },
    [`${PATH}/customer`]: { handle: (call) => listLinkCustomers(world, call) },
    '/cgi-bin/externalcontact/customer_acquisition_quota': { handle: (call) => getQuota(world, call) },
    [`${PATH}/statistic`]: { handle: (call) => linkStatistic(world, call) },
    [`${PATH}/get_chat_info`]: { handle: (call) => getChatInfo(world, call) },
    '/cgi-bin/externalcontact/customer_acquisition_app/get_permit': { handle: (call) => getPermit(world, call) },
  }
}

function listLink(world: World, { params, app }: Call): Reply {
  const all = links(world)
  const Body = z.object({
    cursor: OptionalText,
    limit: z.int().min(1).max(LINKS_PER_PAGE).default(LINKS_PER_PAGE),
  })
  const { cursor, limit } = read(Body, params)
  const after = fromCursor(cursor, z.tuple([z.literal('links'), z.int()]))?.[1] ?? 0
  const rows = all.list(after).filter((row) => row.body.maker === app.name)
  const page = rows.slice(0, limit)
  const next = rows.length > limit ? toCursor('links', page.at(-1)!.seq) : ''
  return { link_id_list: page.map((row) => row.id), next_cursor: next }
}

function getLink(world: World, call: Call): Reply {
  const [, link] = own(world, call)
  return {
    link: {
      link_name: link.name,
      url: link.url,
      create_time: Math.floor(link.createdMs / SECOND_MS),
      skip_verify: link.skipVerify,
      mark_source: true,
    },
    range: { user_list: link.user, department_list: link.party },
    ...(link.priority && { priority_option: link.priority }),
  }
}

function createLink(world: World, call: Call): Reply {
  const all = links(world)
  const Body = z.object({
    link_name: Name,
    range: Range,
    skip_verify: z.boolean().default(true),
    priority_option: Priority.nullish(),
  })
  const body = read(Body, call.params)
  const range = checked(world, call, body.range)
  const id = all.newId('cawcde', 24)
  const createdMs = call.now.getTime()
  const link: Link = {
    maker: call.app.name,
    name: body.link_name,
    url: `https://work.weixin.qq.com/ca/${id}`,
    createdMs,
    ...range,
    skipVerify: body.skip_verify,
    ...(body.priority_option != null && { priority: body.priority_option }),
    scans: 0,
  }
  all.put(id, link)
  const create_time = Math.floor(createdMs / SECOND_MS)
  return { link: { link_id: id, link_name: link.name, url: link.url, create_time } }
}

function updateLink(world: World, call: Call): Reply {
  const all = links(world)
  const [id, link] = own(world, call)
  const Body = z.object({
    link_name: Name.optional(),
    range: Range.optional(),
    skip_verify: z.boolean().optional(),
    priority_option: Priority.optional(),
  })
  const body = read(Body, call.params)
  all.put(id, {
    ...link,
    ...(body.link_name !== undefined && { name: body.link_name }),
    ...(body.range !== undefined && checked(world, call, body.range)),
    ...(body.skip_verify !== undefined && { skipVerify: body.skip_verify }),
    ...(body.priority_option !== undefined && { priority: body.priority_option }),
  })
  return {}
}

function deleteOwnLink(world: World, call: Call): Reply {
  const all = links(world)
  const [id] = own(world, call)
  all.delete(id)
  return {}
}

function listLinkCustomers(world: World, call: Call): Reply {
  const [id] = own(world, call)
  const Body = z.object({
    cursor: OptionalText,
    limit: z.int().min(1).max(CUSTOMERS_PER_PAGE).default(CUSTOMERS_PER_PAGE),
  })
  const { cursor, limit } = read(Body, call.params)
  const after = fromCursor(cursor, z.tuple([z.literal('link'), z.int()]))?.[1] ?? 0
  const rows = customersOf(world, id).list(after, limit + 1)
  const page = rows.slice(0, limit)
  return {
    customer_list: page
      .filter(({ body }) => sees(world, call.app, body.userId))
      .map(({ body }) => ({
        external_userid: body.externalUserId,
        userid: body.userId,
        chat_status: body.messages > 0 ? 1 : 0,
        state: body.state,
      })),
    next_cursor: rows.length > limit ? toCursor('link', page.at(-1)!.seq) : '',
  }
}

function getQuota(world: World, { now }: Call): Reply {
  const { total, balance } = quotaOf(world)
  // All of it was bought at once, for a year.
  const expires = Date.UTC(now.getUTCFullYear() + 1, 0, 1) / SECOND_MS
  return { total, balance, quota_list: [{ expire_date: expires, balance }] }
}

function linkStatistic(world: World, call: Call): Reply {
  const [id] = own(world, call)
  const { start_time: from, end_time: to } = read(z.object({ start_time: z.int(), end_time: z.int() }), call.params)
  const [first, last] = [dayOf(from * SECOND_MS), dayOf(to * SECOND_MS)]
  const today = dayOf(call.now.getTime())
  if (last < first || last - first > SPAN_DAYS || first < today - BACK_DAYS)
    throw new Refusal(40058, 'invalid time range. invalid Request Parameter')
  const days = daysOf(world, id)
  const reply = { click_link_customer_cnt: 0, new_customer_cnt: 0 }
  for (let day = first; day <= last; day++) {
    const figures = days.get(String(day))
    reply.click_link_customer_cnt += figures?.clicks ?? 0
    reply.new_customer_cnt += figures?.added ?? 0
  }
  return reply
}

function getChatInfo(world: World, { params, now }: Call): Reply {
  const { chat_key: key } = read(z.object({ chat_key: z.string().min(1) }), params)
  const chat = chatKeys(world).get(key)
  const customer = chat && customersOf(world, chat.linkId).get(chat.externalUserId)
  if (chat === undefined || customer === undefined || chat.untilMs <= now.getTime())
    throw new Refusal(40058, 'invalid chat_key. invalid Request Parameter')
  return {
    userid: customer.userId,
    external_userid: customer.externalUserId,
    chat_info: { recv_msg_cnt: customer.messages, link_id: chat.linkId, state: customer.state },
  }
}

function getPermit(world: World, { app }: Call): Reply {
  const users = world.staff.employed.filter((m) => m.hasCustomerContact && sees(world, app, m.userId))
  return { user_list: users.map((m) => m.userId), department_list: [], tag_list: [] }
}

function own(world: World, { app, params }: Call): [string, Link] {
  const all = links(world)
  const { link_id: id } = read(z.object({ link_id: z.string().min(1) }), params)
  const link = all.get(id)
  if (link?.maker !== app.name) throw new Refusal(40058, 'invalid link_id. invalid Request Parameter')
  return [id, link]
}

function checked(world: World, { app }: Call, range: z.infer<typeof Range>): z.infer<typeof Range> {
  const user = range.user.map((id) => memberId(world, id))
  for (const id of user) checkMember(world, app, id)
  const people = targetsOf(world, { user, party: range.party }).length
  if (user.length + range.party.length === 0 || people > PEOPLE_MAX)
    throw new Refusal(40058, `range must be 1 to ${PEOPLE_MAX} people. invalid Request Parameter`)
  return { user, party: range.party }
}

/** Customers bought, and how many may still be added. */
export function quotaOf(world: World): { total: number; balance: number } {
  const total = world.scenario.limits.acquisitionQuota + world.state.counter('acquisition:bought')
  return { total, balance: total - world.state.counter('acquisition:added') }
}

/** The company buys more. */
export function buyQuota(world: World, customers: number, now: Date): void {
  const { balance } = quotaOf(world)
  world.state.count('acquisition:bought', customers)
  if (balance === 0 && customers > 0) raise(world, now, { ChangeType: 'balance_increased' })
}

/** Somebody has opened the link. */
export function countClick(world: World, linkId: string, now: Date): void {
  countDay(world, linkId, now, { clicks: 1, added: 0 })
}

/** Somebody who opened the link asks to be added, which is told when the link carried a channel. */
export function tellRequest(world: World, linkId: string, state: string, now: Date): void {
  if (state !== '') raise(world, now, { ChangeType: 'friend_request', LinkId: linkId, State: state })
}

/** A customer has come by the link: it costs one of the quota. */
export function countCustomer(
  world: World,
  linkId: string,
  customer: { externalUserId: string; userId: string; state: string },
  now: Date,
): void {
  customersOf(world, linkId).put(customer.externalUserId, { ...customer, messages: 0 })
  countDay(world, linkId, now, { clicks: 0, added: 1 })
  world.state.count('acquisition:added')
  const { balance } = quotaOf(world)
  if (balance === LOW_BALANCE - 1) raise(world, now, { ChangeType: 'balance_low' })
  if (balance === 0) raise(world, now, { ChangeType: 'balance_exhausted' })
}

/** The link leads nowhere: nobody it names can be added, or the quota is used up. */
export function tellUnavailable(world: World, linkId: string, now: Date): void {
  raise(world, now, { ChangeType: 'link_unavailable', LinkId: linkId })
}

/** The customer writes to the member the link led to. @returns whether she came by it */
export function linkCustomerWrites(world: World, linkId: string, externalUserId: string, now: Date): boolean {
  const customers = customersOf(world, linkId)
  const customer = customers.get(externalUserId)
  if (customer === undefined) return false
  const messages = customer.messages + 1
  customers.put(externalUserId, { ...customer, messages })
  if (messages === 1)
    raise(world, now, {
      ChangeType: 'customer_start_chat',
      UserID: customer.userId,
      ExternalUserID: customer.externalUserId,
    })
  if (MESSAGES_TOLD.includes(messages)) {
    const key = chatKeys(world).newId('', 40)
    chatKeys(world).put(key, { linkId, externalUserId, untilMs: now.getTime() + CHAT_KEY_MS })
    raise(world, now, { ChangeType: 'message_from_customer', ChatKey: key, LinkId: linkId })
  }
  return true
}

/** The administrator deletes a link in the admin pages, which calls back, as deleting by API does not. */
export function deleteLink(world: World, linkId: string, now: Date): boolean {
  if (!links(world).delete(linkId)) return false
  raise(world, now, { ChangeType: 'delete_link', LinkId: linkId })
  return true
}

function countDay(world: World, linkId: string, now: Date, by: LinkDay): void {
  const days = daysOf(world, linkId)
  const day = String(dayOf(now.getTime()))
  const { clicks = 0, added = 0 } = days.get(day) ?? {}
  days.put(day, { clicks: clicks + by.clicks, added: added + by.added })
}

/** Days of Shanghai, counted from 1970. */
function dayOf(ms: number): number {
  return Math.floor((ms + 8 * HOUR_MS) / DAY_MS)
}

/** Page 97299. */
function raise(world: World, at: Date, fields: XmlFields): void {
  world.raise(at, {
    Event: 'customer_acquisition',
    ...fields,
  })
}
