import { z } from 'zod'
import { hashKey } from '../../src/random.js'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/time.js'
import { contentHashOf, type World } from '../world/world.js'
import { checkBytes, checkUrl, type Endpoints, OptionalText, read, Refusal } from './endpoint.js'
import { checkMedia, ContentBody, readContent } from './mass.js'

/** Page 90236 (2025-09-24) and the frequency page 90454. */
const MAX_USERS = 1_000
const PER_MEMBER_PER_MINUTE = 30
const PER_MEMBER_PER_HOUR = 1_000
const RECALL_MS = DAY_MS
const MAX_DUPLICATE_SECONDS = 14_400
const MEDIA_TYPES = ['image', 'voice', 'video', 'file']

/** Messages of the app to members (pages 90236, 94888, 94867) and the welcome message to a new customer (page 92137). */
export function messageEndpoints(world: World, limits: boolean): Endpoints {
  const { state } = world
  return {
    '/cgi-bin/externalcontact/send_welcome_msg': {
      writes: true,
      handle: ({ params, now }) => {
        const {
          welcome_code: code,
          text,
          attachments,
        } = read(z.object({ welcome_code: OptionalText, ...ContentBody }), params)
        if (code === undefined) throw new Refusal(41049, 'missing welcome_code')
        const content = readContent(world, text, attachments, now)
        const row = state.get<{ user_id: string; external_user_id: string; expires_ms: number; used: number }>(
          'SELECT * FROM welcome_code WHERE code = ?',
          code,
        )
        if (row === undefined || now.getTime() > row.expires_ms) throw new Refusal(41050, 'invalid welcome_code')
        if (row.used === 1) throw new Refusal(41051, 'chat already started')
        state.run('UPDATE welcome_code SET used = 1 WHERE code = ?', code)
        const contentHash = contentHashOf(content.text, content.link?.url)
        const target = { userId: row.user_id, externalUserId: row.external_user_id }
        world.deliver({ kind: 'welcome', msgid: code, ...target, content, contentHash, createdMs: now.getTime() }, now)
        return {}
      },
    },
    '/cgi-bin/message/send': {
      writes: true,
      unlimited: true,
      handle: ({ params, now }) => {
        const Body = z.object({
          touser: OptionalText,
          toparty: OptionalText,
          totag: OptionalText,
          msgtype: z.string().default(''),
          agentid: z.unknown(),
          enable_duplicate_check: z.int().default(0),
          duplicate_check_interval: z.int().min(1).max(MAX_DUPLICATE_SECONDS).default(1_800),
        })
        const body = read(Body, params)
        checkAgent(body.agentid)
        const { users, invalidUser, invalidParty, invalidTag } = recipientsOf(body)
        const card = checkMessage(body.msgtype, params, now)
        const requestHash = hashKey(40, JSON.stringify(params))
        if (body.enable_duplicate_check === 1) {
          const since = now.getTime() - body.duplicate_check_interval * SECOND_MS
          const same = state.get<{ reply: string }>(
            'SELECT reply FROM app_message WHERE request_hash = ? AND created_ms > ? ORDER BY created_ms, msgid LIMIT 1',
            requestHash,
            since,
          )
          if (same !== undefined) return JSON.parse(same.reply) as Record<string, unknown>
        }
        const taskId = card?.task_id
        if (taskId !== undefined && state.get('SELECT 1 FROM app_message WHERE task_id = ?', taskId) !== undefined) {
          throw new Refusal(42014, `task_id: ${taskId} already exists. invalid template_card task_id`)
        }
        const msgid = newMsgid(requestHash, now)
        const code =
          card !== undefined && taskId !== undefined ? world.issueResponseCode(msgid, 'send', now) : undefined
        const reply = {
          invaliduser: invalidUser.map((id) => id.toLowerCase()).join('|'),
          invalidparty: invalidParty.join('|'),
          invalidtag: invalidTag.join('|'),
          unlicenseduser: '',
          msgid,
          ...(code === undefined ? {} : { response_code: code }),
        }
        state.run(
          'INSERT INTO app_message (msgid, secret, created_ms, request_hash, reply, task_id, body) VALUES (?, ?, ?, ?, ?, ?, ?)',
          msgid, 'app', now.getTime(), requestHash, JSON.stringify(reply), taskId ?? null, JSON.stringify(params[body.msgtype]),
        ) // prettier-ignore
        for (const userId of users) {
          if (limits && isFlooded(userId, now)) {
            state.count('dropped_app_messages') // errcode stays 0: the platform drops in silence
            continue
          }
          state.run(
            'INSERT INTO app_delivery (user_id, at_ms, msgid, status) VALUES (?, ?, ?, ?)',
            userId,
            now.getTime(),
            msgid,
            card === undefined ? 'plain' : 'waiting',
          )
          state.count(card === undefined ? 'app_messages' : 'cards')
          if (card?.card_type === 'button_interaction') world.schedulePress(msgid, userId, taskId!, card, now)
        }
        return reply
      },
    },
    '/cgi-bin/message/update_template_card': {
      writes: true,
      handle: ({ params, now }) => {
        const Body = z.object({
          userids: z.array(z.string()).max(MAX_USERS).nullish(),
          partyids: z.array(z.int()).max(100).nullish(),
          tagids: z.array(z.int()).max(100).nullish(),
          atall: z.int().default(0),
          agentid: z.unknown(),
          response_code: OptionalText,
          button: z.object({ replace_name: z.string().min(1) }).nullish(),
          template_card: z.record(z.string(), z.unknown()).nullish(),
        })
        const body = read(Body, params)
        checkAgent(body.agentid)
        if (!body.button && !body.template_card)
          throw new Refusal(40058, 'button and template_card unexpected empty. invalid Request Parameter')
        const given = body.userids ?? []
        const everybody = body.atall === 1 || (body.partyids ?? []).includes(1)
        if (given.length === 0 && !everybody) throw new Refusal(82001, 'userids, partyids and tagids all empty')
        const row = state.get<{ msgid: string; expires_ms: number; used: number }>(
          'SELECT * FROM response_code WHERE code = ?',
          body.response_code ?? '',
        )
        if (row === undefined || row.used === 1 || now.getTime() > row.expires_ms)
          throw new Refusal(60140, 'invalid response_code')
        state.run('UPDATE response_code SET used = 1 WHERE code = ?', body.response_code!)
        const invalid = given.filter((id) => world.member(id) === undefined)
        const users = new Set(given.flatMap((id) => world.member(id)?.userId ?? []))
        const receivers = state.all<{ user_id: string }>('SELECT user_id FROM app_delivery WHERE msgid = ?', row.msgid)
        for (const { user_id: userId } of receivers.filter((r) => everybody || users.has(r.user_id))) {
          // A replaced button is dead; a card that brings buttons of its own can be pressed (again).
          const alive = body.template_card?.['card_type'] === 'button_interaction'
          state.run(
            `UPDATE app_delivery SET status = ? WHERE msgid = ? AND user_id = ? AND status IN ('waiting', 'pressed')`,
            alive ? 'waiting' : 'locked',
            row.msgid,
            userId,
          )
        }
        if (body.template_card)
          state.run('UPDATE app_message SET body = ? WHERE msgid = ?', JSON.stringify(body.template_card), row.msgid)
        return { invaliduser: invalid }
      },
    },
    '/cgi-bin/message/recall': {
      writes: true,
      handle: ({ params, now }) => {
        const { msgid } = read(z.object({ msgid: OptionalText }), params)
        const row = state.get<{ created_ms: number }>('SELECT created_ms FROM app_message WHERE msgid = ?', msgid ?? '')
        if (row === undefined) throw new Refusal(40058, 'msgid invalid. invalid Request Parameter')
        if (now.getTime() > row.created_ms + RECALL_MS) throw new Refusal(42052, 'recall time out of limit')
        state.run('UPDATE app_message SET recalled = 1 WHERE msgid = ?', msgid!)
        return {}
      },
    },
  }

  function checkAgent(agentId: unknown): void {
    const agent = typeof agentId === 'string' && /^\d+$/.test(agentId) ? Number(agentId) : agentId
    if (!Number.isInteger(agent)) throw new Refusal(40056, 'invalid agentid')
    if (agent !== world.identity.app.agentId)
      throw new Refusal(301002, 'not allow operate another agent with this accesstoken.')
  }

  function recipientsOf(to: { touser?: string | undefined; toparty?: string | undefined; totag?: string | undefined }) {
    if (to.touser === undefined && to.toparty === undefined && to.totag === undefined)
      throw new Refusal(82001, 'touser, toparty and totag all empty')
    const all = world.scenario.members.map((m) => m.userId)
    if (to.touser === '@all') return { users: all, invalidUser: [], invalidParty: [], invalidTag: [] }
    const listed = split(to.touser)
    if (listed.length > MAX_USERS) throw new Refusal(40032, 'invalid userid list length')
    const parties = split(to.toparty)
    const users = new Set(listed.flatMap((id) => world.member(id)?.userId ?? []))
    if (parties.includes('1')) all.forEach((id) => users.add(id))
    if (users.size === 0) throw new Refusal(81013, 'user & party & tag all invalid')
    return {
      users: [...users],
      invalidUser: listed.filter((id) => world.member(id) === undefined),
      invalidParty: parties.filter((id) => id !== '1'),
      invalidTag: split(to.totag), // member tags are not there yet
    }
  }

  /** What was sent to her in the last minute and hour; counted from stored deliveries, so a restart forgets nothing. */
  function isFlooded(userId: string, now: Date): boolean {
    const since = (ms: number) =>
      state.get<{ n: number }>(
        'SELECT count(*) AS n FROM app_delivery WHERE user_id = ? AND at_ms > ?',
        userId,
        now.getTime() - ms,
      )!.n
    return since(MINUTE_MS) >= PER_MEMBER_PER_MINUTE || since(HOUR_MS) >= PER_MEMBER_PER_HOUR
  }

  function newMsgid(requestHash: string, now: Date): string {
    for (let n = 0; ; n++) {
      const msgid = `app${hashKey(40, 'app-message', now.getTime(), requestHash, n)}`
      if (state.get('SELECT 1 FROM app_message WHERE msgid = ?', msgid) === undefined) return msgid
    }
  }

  function checkMessage(type: string, params: Record<string, unknown>, now: Date): Card | undefined {
    const body = (params[type] ?? {}) as Record<string, unknown>
    if (type === 'template_card') return checkCard(body)
    if (type === 'text' || type === 'markdown') {
      const { content } = read(z.object({ content: OptionalText }), body)
      if (content === undefined) throw new Refusal(44004, `empty content`)
      if (type === 'markdown') checkBytes('markdown.content', content, 2_048) // a longer text is cut, not refused
    } else if (type === 'textcard') {
      const { title, description, url } = read(
        z.object({ title: OptionalText, description: OptionalText, url: OptionalText }),
        body,
      )
      if (title === undefined) throw new Refusal(41016, 'missing title')
      if (description === undefined) throw new Refusal(41033, 'missing description')
      checkUrl('textcard.url', url ?? '')
    } else if (MEDIA_TYPES.includes(type)) {
      const { media_id: mediaId } = read(z.object({ media_id: OptionalText }), body)
      if (mediaId === undefined) throw new Refusal(41006, 'missing media_id')
      checkMedia(world, mediaId, now)
    } else {
      throw new Refusal(40008, 'invalid message type')
    }
    return undefined
  }
}

const Card = z
  .object({
    card_type: z.string().default(''),
    task_id: OptionalText,
    main_title: z.object({ title: OptionalText, desc: OptionalText }).nullish(),
    sub_title_text: OptionalText,
    action_menu: z
      .object({
        action_list: z
          .array(z.object({ text: z.string(), key: z.string() }))
          .min(1)
          .max(3),
      })
      .nullish(),
    horizontal_content_list: z
      .array(
        z.object({ type: z.int().default(0), keyname: z.string().default(''), value: z.string().optional() }).loose(),
      )
      .nullish(),
    vertical_content_list: z.array(z.object({ title: z.string() }).loose()).nullish(),
    jump_list: z.array(z.object({ title: z.string() }).loose()).nullish(),
    card_action: z.object({ type: z.int() }).loose().nullish(),
    card_image: z.object({ url: z.string() }).loose().nullish(),
    image_text_area: z.object({ image_url: z.string() }).loose().nullish(),
    button_list: z
      .array(
        z
          .object({
            type: z.int().default(0),
            text: z.string().default(''),
            key: z.string().optional(),
            url: z.string().optional(),
          })
          .loose(),
      )
      .optional(),
    button_selection: z
      .object({
        question_key: z.string(),
        selected_id: z.string().optional(),
        option_list: z
          .array(z.object({ id: z.string() }).loose())
          .min(1)
          .max(10),
      })
      .loose()
      .optional(),
    checkbox: z
      .object({ question_key: z.string(), option_list: z.array(z.unknown()).min(1).max(20) })
      .loose()
      .nullish(),
    select_list: z.array(z.object({ question_key: z.string() }).loose()).nullish(),
    submit_button: z.object({ text: z.string(), key: z.string() }).nullish(),
  })
  .loose()
type Card = z.infer<typeof Card>

const CARD_TYPES = ['text_notice', 'news_notice', 'button_interaction', 'vote_interaction', 'multiple_interaction']

/** The rules of page 90236, "template_card", with their codes. @throws {Refusal} */
function checkCard(body: Record<string, unknown>): Card {
  const card = read(Card, body)
  const type = card.card_type
  if (!CARD_TYPES.includes(type)) throw new Refusal(42031, 'invalid template_card card_type')
  const interactive = type.endsWith('_interaction')
  if ((interactive || card.action_menu) && card.task_id === undefined)
    throw new Refusal(42014, 'invalid template_card task_id')
  if (card.task_id !== undefined && !/^[0-9A-Za-z_\-@]{1,128}$/.test(card.task_id))
    throw new Refusal(42014, 'invalid template_card task_id')
  const titled = card.main_title?.title !== undefined
  if (!titled && (type !== 'text_notice' || card.sub_title_text === undefined))
    throw new Refusal(41016, 'missing template_card main_title.title')
  if (!interactive && !card.card_action) throw new Refusal(42045, 'invalid template_card card_action')
  if (type === 'news_notice' && !card.card_image && !card.image_text_area)
    throw new Refusal(42044, 'missing template_card card_image')
  if (type === 'vote_interaction' && !card.checkbox) throw new Refusal(42043, 'missing template_card checkbox')
  if (type === 'multiple_interaction' && ((card.select_list ?? []).length < 1 || card.select_list!.length > 3))
    throw new Refusal(42047, 'invalid template_card select_list')
  if ((type === 'vote_interaction' || type === 'multiple_interaction') && !card.submit_button)
    throw new Refusal(42046, 'missing template_card submit_button')
  if ((card.horizontal_content_list ?? []).length > 6)
    throw new Refusal(42035, 'template_card horizontal_content_list out of limit')
  if ((card.vertical_content_list ?? []).length > 4)
    throw new Refusal(42036, 'template_card vertical_content_list out of limit')
  if ((card.jump_list ?? []).length > 3) throw new Refusal(42042, 'template_card jump_list out of limit')
  for (const row of card.horizontal_content_list ?? []) {
    if (row.keyname === '' || [...row.keyname].length > 5)
      throw new Refusal(42027, 'invalid template_card horizontal_content_list keyname')
  }
  const menuKeys = (card.action_menu?.action_list ?? []).map((item) => item.key)
  if (new Set(menuKeys).size < menuKeys.length) throw new Refusal(42051, 'template_card action_menu key not unique')
  if (type === 'button_interaction') checkButtons(card.button_list ?? [])
  return card
}

function checkButtons(buttons: NonNullable<Card['button_list']>): void {
  if (buttons.length < 1 || buttons.length > 6)
    throw new Refusal(40058, 'template_card.button_list invalid size. invalid Request Parameter')
  for (const { type, text, key, url } of buttons) {
    if (text === '' || [...text].length > 10) throw new Refusal(42038, 'invalid template_card button_list text')
    if (type === 0 && (key === undefined || key === '' || Buffer.byteLength(key) > 1024))
      throw new Refusal(42039, 'invalid template_card button_list key')
    if (type === 1) checkUrl('template_card.button_list.url', url ?? '')
  }
}

function split(list: string | undefined): string[] {
  return (list ?? '').split('|').filter((id) => id !== '')
}
