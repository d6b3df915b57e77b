import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { atTimeOfDay, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import type { App } from '../../identity.js'
import { PLATFORM_TIME_ZONE } from '../../world/calendar.js'
import type { CardBody } from '../../world/cards.js'
import type { World } from '../../world/world.js'
import { type Card, checkCard } from './cards.js'
import {
  type Call,
  checkBytes,
  checkUrl,
  type Endpoints,
  OptionalText,
  read,
  Refusal,
  type Reply,
} from '../core/endpoint.js'
import { checkMedia, type MediaType } from './media.js'
import { parseRequest } from '../core/numbers.js'
import { takeQuota } from '../core/quota.js'
import { departmentMembers } from './recipients.js'
import { sees } from './visibility.js'

/** Page 90236 (2025-09-24) and the frequency page 90454. */
const MAX_USERS = 1_000
const MAX_PARTIES = 100
const MAX_TAGS = 100
const PER_MEMBER_PER_MINUTE = 30
const PER_MEMBER_PER_HOUR = 1_000
/** Person-times a day, for each account that the company may have. */
const PER_ACCOUNT_PER_DAY = 200
const MAX_DUPLICATE_SECONDS = 14_400
/** Page 94867. */
const RECALL_MS = DAY_MS
const NewMessage = z.object({
  touser: OptionalText,
  toparty: OptionalText,
  totag: OptionalText,
  msgtype: z.string().default(''),
  agentid: z.unknown(),
  safe: z.int().min(0).max(2).default(0),
  enable_duplicate_check: z.int().min(0).max(1).default(0),
  duplicate_check_interval: z.int().min(1).max(MAX_DUPLICATE_SECONDS).default(1_800),
})
/** A card on which the guide can do something gets a code to update it with. */
const INTERACTIVE = /_interaction$/

/** Messages of the app to members (pages 90236, 94888, 94867). */
export function messageEndpoints(world: World, limits: boolean): Endpoints {
  return {
    '/cgi-bin/message/send': { writes: true, unlimited: true, handle: (call) => sendMessage(world, limits, call) },
    '/cgi-bin/message/update_template_card': { writes: true, handle: (call) => updateTemplateCard(world, call) },
    '/cgi-bin/message/recall': { writes: true, handle: (call) => recallMessage(world, call) },
    '/cgi-bin/message/get_statistics': { empty: { statistics: [] }, handle: (call) => getStatistics(world, call) },
  }
}

function sendMessage(world: World, limits: boolean, { params, app, now }: Call): Reply {
  const body = read(NewMessage, params)
  const agentId = checkAgent(body.agentid, app)
  const { users, invalidUser, invalidParty, invalidTag } = recipientsOf(world, body, app)
  const { stored, card } = checkMessage(world, body.msgtype, params, body.safe, now)
  const requestHash = hashKey(40, agentId, JSON.stringify(params))
  if (body.enable_duplicate_check === 1) {
    const since = now.getTime() - body.duplicate_check_interval * SECOND_MS
    const same = world.state.get<{ reply: string }>(
      'SELECT reply FROM app_message WHERE request_hash = ? AND created_ms > ? ORDER BY created_ms, msgid LIMIT 1',
      requestHash,
      since,
    )
    if (same !== undefined) return JSON.parse(same.reply) as Record<string, unknown>
  }
  const taskId = card?.task_id
  if (taskId !== undefined && world.state.get('SELECT 1 FROM app_message WHERE task_id = ?', taskId) !== undefined) {
    throw new Refusal(42014, `task_id: ${taskId} already exists. invalid template_card task_id`)
  }
  if (limits) {
    const most = PER_ACCOUNT_PER_DAY * (world.scenario.limits.accounts ?? Math.max(200, world.staff.all.length))
    takeQuota(world.state, { name: `app_message ${agentId}`, per: 'day', most }, now, users.length)
  }
  const msgid = newMsgid(world, requestHash, now)
  const answers = card !== undefined && (INTERACTIVE.test(card.card_type) || Boolean(card.action_menu))
  const code = answers ? world.codes.issueResponse(msgid, 'send', now) : undefined
  const reply = {
    invaliduser: invalidUser.map((id) => id.toLowerCase()).join('|'),
    invalidparty: invalidParty.join('|'),
    invalidtag: invalidTag.join('|'),
    unlicenseduser: '',
    msgid,
    ...(code === undefined ? {} : { response_code: code }),
  }
  world.state.run(
    'INSERT INTO app_message (msgid, agent_id, created_ms, request_hash, reply, task_id, body) VALUES (?, ?, ?, ?, ?, ?, ?)',
    msgid, agentId, now.getTime(), requestHash, JSON.stringify(reply), taskId ?? null, JSON.stringify(stored),
  ) // prettier-ignore
  for (const userId of users) {
    if (limits && isFlooded(world, userId, now)) {
      world.state.count('dropped_app_messages') // errcode stays 0: the platform drops in silence
      continue
    }
    world.state.run(
      'INSERT INTO app_delivery (user_id, at_ms, msgid, status) VALUES (?, ?, ?, ?)',
      userId,
      now.getTime(),
      msgid,
      answers ? 'waiting' : 'plain',
    )
    world.state.count(card === undefined ? 'app_messages' : 'cards')
    if (card?.card_type === 'button_interaction') world.cards.schedulePress(msgid, userId, taskId!, toBody(card), now)
  }
  return reply
}

function updateTemplateCard(world: World, { params, app, now }: Call): Reply {
  const Body = z.object({
    userids: z.array(z.string()).max(MAX_USERS).nullish(),
    partyids: z.array(z.int()).max(MAX_PARTIES).nullish(),
    tagids: z.array(z.int()).max(MAX_TAGS).nullish(),
    atall: z.int().min(0).max(1).default(0),
    agentid: z.unknown(),
    response_code: OptionalText,
    button: z.object({ replace_name: z.string().min(1) }).nullish(),
    template_card: z.record(z.string(), z.unknown()).nullish(),
  })
  const body = read(Body, params)
  checkAgent(body.agentid, app)
  if (!body.button && !body.template_card)
    throw new Refusal(40058, 'button and template_card unexpected empty. invalid Request Parameter')
  const given = body.userids ?? []
  const parties = body.partyids ?? []
  if (given.length === 0 && parties.length === 0 && (body.tagids ?? []).length === 0 && body.atall === 0)
    throw new Refusal(82001, 'userids, partyids and tagids all empty')
  const row = world.state.get<{ msgid: string; expires_ms: number; used: number }>(
    'SELECT * FROM response_code WHERE code = ?',
    body.response_code ?? '',
  )
  if (row === undefined || row.used === 1 || now.getTime() > row.expires_ms)
    throw new Refusal(60140, 'invalid response_code')
  const card = body.template_card ? checkCard(body.template_card, cardRules(world)) : undefined
  world.state.run('UPDATE response_code SET used = 1 WHERE code = ?', body.response_code!)
  const invalid = given.filter((id) => world.member(id) === undefined)
  const users = new Set(given.flatMap((id) => world.member(id)?.userId ?? []))
  for (const id of parties) departmentMembers(world, id)?.forEach((userId) => users.add(userId))
  const receivers = world.state.all<{ user_id: string }>('SELECT user_id FROM app_delivery WHERE msgid = ?', row.msgid)
  for (const { user_id: userId } of receivers.filter((r) => body.atall === 1 || users.has(r.user_id))) {
    // A replaced button is dead; a card that brings buttons of its own can be pressed (again).
    const alive = card !== undefined && INTERACTIVE.test(card.card_type) && !isLocked(card)
    world.state.run(
      `UPDATE app_delivery SET status = ? WHERE msgid = ? AND user_id = ? AND status IN ('waiting', 'pressed')`,
      alive ? 'waiting' : 'locked',
      row.msgid,
      userId,
    )
  }
  if (card !== undefined)
    world.state.run('UPDATE app_message SET body = ? WHERE msgid = ?', JSON.stringify(body.template_card), row.msgid)
  return { invaliduser: invalid }
}

function recallMessage({ state }: World, { params, app, now }: Call): Reply {
  const { msgid } = read(z.object({ msgid: OptionalText }), params)
  const row = state.get<{ created_ms: number; agent_id: number }>(
    'SELECT created_ms, agent_id FROM app_message WHERE msgid = ?',
    msgid ?? '',
  )
  if (row === undefined || row.agent_id !== app.agentId)
    throw new Refusal(40058, 'msgid invalid. invalid Request Parameter')
  if (now.getTime() > row.created_ms + RECALL_MS) throw new Refusal(42052, 'recall time out of limit')
  state.run('UPDATE app_message SET recalled = 1 WHERE msgid = ?', msgid!)
  return {}
}

function getStatistics({ state }: World, { params, app, now }: Call): Reply {
  const { time_type: yesterday } = read(z.object({ time_type: z.int().min(0).max(1).default(0) }), params)
  const midnight = (daysLater: number) => atTimeOfDay(now, 0, PLATFORM_TIME_ZONE, daysLater).getTime()
  const count = state.get<{ n: number }>(
    `SELECT count(*) AS n FROM app_delivery JOIN app_message USING (msgid) WHERE agent_id = ? AND at_ms >= ? AND at_ms < ?`,
    app.agentId,
    midnight(-yesterday),
    midnight(1 - yesterday),
  )!.n
  return { statistics: count === 0 ? [] : [{ agentid: app.agentId, app_name: app.name, count }] }
}

function cardRules(world: World) {
  return { refuseLongTexts: world.scenario.behaviour.refuseLongCardTexts }
}

function checkAgent(agentId: unknown, app: App): number {
  const { success, data: agent } = parseRequest(z.int(), agentId)
  if (!success) throw new Refusal(40056, 'invalid agentid')
  if (agent !== app.agentId) throw new Refusal(301002, 'not allow operate another agent with this accesstoken.')
  return agent
}

function recipientsOf(
  world: World,
  to: { touser?: string | undefined; toparty?: string | undefined; totag?: string | undefined },
  app: App,
) {
  const seen = (id: string) => (sees(world, app, id) ? world.member(id)?.userId : undefined)
  if (to.touser === undefined && to.toparty === undefined && to.totag === undefined)
    throw new Refusal(82001, 'touser, toparty and totag all empty')
  if (to.touser === '@all') {
    const all = world.staff.employed.flatMap((m) => seen(m.userId) ?? [])
    return { users: all, invalidUser: [], invalidParty: [], invalidTag: [] }
  }
  const [listed, parties, tags] = [split(to.touser), split(to.toparty), split(to.totag)]
  if (listed.length > MAX_USERS) throw new Refusal(40032, 'invalid userid list length')
  if (parties.length > MAX_PARTIES) throw new Refusal(82002, 'party list size out of limit')
  if (tags.length > MAX_TAGS) throw new Refusal(82003, 'tag list size out of limit')
  const users = new Set(listed.flatMap((id) => seen(id) ?? []))
  const invalidParty: string[] = []
  for (const id of parties) {
    const members = departmentMembers(world, Number(id))?.filter((userId) => seen(userId) !== undefined)
    if (members === undefined) invalidParty.push(id)
    else members.forEach((userId) => users.add(userId))
  }
  if (users.size === 0) throw new Refusal(81013, 'user & party & tag all invalid')
  const invalidUser = listed.filter((id) => seen(id) === undefined)
  return { users: [...users], invalidUser, invalidParty, invalidTag: tags } // the world has no member tags
}

/** What was sent to her in the last minute and hour; counted from stored deliveries, so a restart forgets nothing. */
function isFlooded({ state }: World, userId: string, now: Date): boolean {
  const since = (ms: number) =>
    state.get<{ n: number }>(
      'SELECT count(*) AS n FROM app_delivery WHERE user_id = ? AND at_ms > ?',
      userId,
      now.getTime() - ms,
    )!.n
  return since(MINUTE_MS) >= PER_MEMBER_PER_MINUTE || since(HOUR_MS) >= PER_MEMBER_PER_HOUR
}

function newMsgid({ state }: World, requestHash: string, now: Date): string {
  for (let n = 0; ; n++) {
    const msgid = `app${hashKey(40, 'app-message', now.getTime(), requestHash, n)}`
    if (state.get('SELECT 1 FROM app_message WHERE msgid = ?', msgid) === undefined) return msgid
  }
}

/** Rules of a message kind; returns its body as the receiver sees it. */
type Check = (body: Record<string, unknown>, to: { world: World; now: Date; safe: number }) => unknown

const media =
  (type: MediaType): Check =>
  (body, { world, now }) => {
    const { media_id: id } = read(z.object({ media_id: OptionalText }), body)
    if (id === undefined) throw new Refusal(41006, 'missing media_id')
    checkMedia(world, id, now, type)
    return body
  }

const Article = z
  .object({ title: OptionalText, url: OptionalText, appid: OptionalText, pagepath: OptionalText, thumb_media_id: OptionalText, author: OptionalText, content: OptionalText })
  .loose() // prettier-ignore

/** The kinds that app messages and app chats share (page 90236). */
const CHECKS: Record<string, Check> = {
  text: (body) => {
    const content = required(body, 'content', 44004)
    return { content: cutToBytes(content, 2_048) } // longer texts are cut, not refused
  },
  markdown: (body) => {
    checkBytes('markdown.content', required(body, 'content', 44004), 2_048)
    return body
  },
  image: media('image'),
  voice: media('voice'),
  file: media('file'),
  video: (body, to) => {
    media('video')(body, to)
    const { title, description } = read(z.object({ title: OptionalText, description: OptionalText }), body)
    return { ...body, title: cutToBytes(title ?? '', 128), description: cutToBytes(description ?? '', 512) }
  },
  textcard: (body) => {
    required(body, 'title', 41016)
    required(body, 'description', 41033)
    checkUrl('textcard.url', read(z.object({ url: OptionalText }), body).url ?? '')
    return body
  },
  news: (body, { safe }) => {
    if (safe !== 0) throw new Refusal(40074, 'safe is not supported by news')
    for (const { title, url, appid } of articlesOf(body)) {
      if (title === undefined) throw new Refusal(41016, 'missing title')
      if (url !== undefined) checkUrl('news.articles.url', url)
      else if (appid === undefined)
        throw new Refusal(40058, 'news.articles.url unexpected empty. invalid Request Parameter')
    }
    return body
  },
  mpnews: (body, { world, now }) => {
    for (const { title, thumb_media_id: thumb, author, content } of articlesOf(body)) {
      if (title === undefined) throw new Refusal(41016, 'missing title')
      checkMedia(world, thumb ?? '', now, 'image')
      if (content === undefined) throw new Refusal(44004, 'empty content')
      if (Buffer.byteLength(content) > 666 * 1_024) throw new Refusal(45002, 'content size out of limit')
      if (Buffer.byteLength(author ?? '') > 64) throw new Refusal(45032, 'author size out of limit')
    }
    return body
  },
}

const MiniprogramNotice = z.object({
  appid: OptionalText,
  page: OptionalText,
  title: OptionalText,
  description: OptionalText,
  content_item: z.array(z.object({ key: z.string().default(''), value: z.string().default('') })).default([]),
})

/** Only app messages know these, app chats do not. */
const CHECKS_OF_MESSAGES: Record<string, Check> = {
  ...CHECKS,
  miniprogram_notice: (body) => {
    const { appid, title, description, content_item: items } = read(MiniprogramNotice, body)
    if (appid === undefined) throw new Refusal(90200, 'missing miniprogram appid')
    if (!/^wx[0-9a-f]{16}$/.test(appid)) throw new Refusal(90207, 'invalid miniprogram appid')
    if (title === undefined) throw new Refusal(41016, 'missing title')
    for (const [field, text] of [['title', title], ['description', description]] as const) {
      if (text !== undefined && (length(text) < 4 || length(text) > 12))
        throw new Refusal(40058, `miniprogram_notice.${field} length invalid. invalid Request Parameter`)
    } // prettier-ignore
    if (items.length > 10) throw new Refusal(90201, 'content_item count out of limit')
    for (const { key, value } of items) {
      if (key === '' || length(key) > 10) throw new Refusal(90202, 'content_item key length out of limit')
      if (value === '' || length(value) > 30) throw new Refusal(90203, 'content_item value length out of limit')
    }
    return body
  },
}

/** @throws {Refusal} with the code of the first rule that is broken */
function checkMessage(
  world: World,
  type: string,
  params: Record<string, unknown>,
  safe: number,
  now: Date,
): { stored: unknown; card?: Card } {
  const body = (params[type] ?? {}) as Record<string, unknown>
  if (safe === 2 && type !== 'mpnews') throw new Refusal(40058, 'safe is 2 for mpnews only. invalid Request Parameter')
  if (type === 'template_card') {
    const card = checkCard(body, { refuseLongTexts: world.scenario.behaviour.refuseLongCardTexts })
    for (const { type: kind, media_id: mediaId } of card.horizontal_content_list ?? [])
      if (kind === 2) checkMedia(world, mediaId!, now, 'file')
    return { stored: body, card }
  }
  const check = Object.hasOwn(CHECKS_OF_MESSAGES, type) ? CHECKS_OF_MESSAGES[type] : undefined
  if (check === undefined) throw new Refusal(40008, 'invalid message type')
  return { stored: check(body, { world, now, safe }) }
}

/** The same for a message to an app chat, which takes neither cards nor mini program notices (page 90248). @throws {Refusal} */
export function checkChatMessage(
  world: World,
  type: string,
  params: Record<string, unknown>,
  safe: number,
  now: Date,
): unknown {
  if (!Object.hasOwn(CHECKS, type)) throw new Refusal(40008, 'invalid message type')
  return checkMessage(world, type, params, safe, now).stored
}

function articlesOf(body: Record<string, unknown>): z.infer<typeof Article>[] {
  const { articles } = read(z.object({ articles: z.array(Article).min(1) }), body)
  if (articles.length > 8) throw new Refusal(45008, 'article size out of limit')
  return articles
}

function required(body: Record<string, unknown>, field: string, code: number): string {
  const text = read(z.object({ [field]: OptionalText }), body)[field]
  if (typeof text !== 'string') throw new Refusal(code, `missing ${field}`)
  return text
}

/** Whole characters only. */
function cutToBytes(text: string, most: number): string {
  if (Buffer.byteLength(text) <= most) return text
  return new TextDecoder().decode(Buffer.from(text).subarray(0, most)).replace(/\uFFFD+$/, '')
}

const length = (text: string) => [...text].length

/** A card whose parts are all disabled cannot be pressed. */
function isLocked(card: Card): boolean {
  return card['replace_text'] !== undefined
}

/** What the world needs of a card to press its buttons. */
function toBody(card: Card): CardBody {
  return { card_type: card.card_type, button_list: (card.button_list ?? []).map(({ type, key }) => ({ type, ...(key === undefined ? {} : { key }) })) } // prettier-ignore
}

function split(list: string | undefined): string[] {
  return (list ?? '').split('|').filter((id) => id !== '')
}
