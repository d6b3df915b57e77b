import { z } from 'zod'
import type { Problem } from '../../errors.js'
import { said } from '../../said.js'
import type { RecordEvent } from './record.js'

type SystemEvent = {
  words: { zh: string; en: string }
  /** What is said of it, whoever of us writes it. */
  properties: z.ZodObject
  /** Whether a brand's own systems may say it, too. */
  open?: true
}

const id = z.string().min(1)
const relation = { userId: id, externalUserId: id }
const card = z.strictObject({ taskId: id, userId: id, outcome: id })
/** A wish may come from a page of the brand's, with whatever it knows. */
const wish = card.partial().loose()
const chat = { botId: z.string() }
const room = z.strictObject({ ...chat, roomId: z.string(), roomTopic: z.string().optional() })
const spoken = { ...chat, from: z.enum(['customer', 'guide']), roomId: z.string().optional() }

/** Events that this service writes, by their names. They need no entry in the catalogue, and nobody else may use them. */
export const systemEvents = {
  journey_entered: {
    words: { zh: '进入旅程', en: 'entered a journey' },
    properties: z.strictObject({ journeyId: id, runId: id, version: z.int(), arm: z.enum(['treated', 'holdout']) }),
  },
  touch_delivered: {
    words: { zh: '触达送达', en: 'a touch arrived' },
    properties: z.strictObject({ touchId: id, journeyId: id, channel: id, content: id }),
  },
  contact_added: {
    words: { zh: '加了导购好友', en: 'added a guide' },
    properties: z.strictObject({ ...relation, addWay: z.number().optional(), state: z.string().optional() }),
  },
  contact_half_added: {
    words: { zh: '单向加好友', en: 'added from one side' },
    properties: z.strictObject({ ...relation, state: z.string().optional() }),
  },
  contact_edited: {
    words: { zh: '好友资料有改动', en: 'the contact was edited' },
    properties: z.strictObject({ ...relation, state: z.string().optional() }),
  },
  contact_deleted: {
    words: { zh: '好友关系结束', en: 'the contact ended' },
    properties: z.strictObject({ ...relation, by: z.enum(['customer', 'member', 'transfer', 'unknown']) }),
  },
  contact_transferred: {
    words: { zh: '客户已移交', en: 'was handed over' },
    properties: z.strictObject({ fromUserId: id }),
  },
  owner_changed: {
    words: { zh: '归属导购变更', en: 'has another guide' },
    properties: z.strictObject({ fromUserId: id, toUserId: id, externalUserId: id, since: z.iso.datetime() }),
  },
  contact_transfer_failed: {
    words: { zh: '移交失败', en: 'could not be handed over' },
    properties: z.strictObject({ userId: id, reason: z.string() }),
  },
  wecom_tags_changed: {
    words: { zh: '企微标签变更', en: 'corp tags changed' },
    properties: z.strictObject({ userId: id, added: z.array(z.string()), removed: z.array(z.string()) }),
  },
  group_joined: {
    words: { zh: '进了客户群', en: 'joined a group' },
    properties: z.strictObject({ chatId: id, joinScene: z.number().optional(), state: z.string().optional() }),
  },
  group_left: {
    words: { zh: '离开客户群', en: 'left a group' },
    properties: z.strictObject({ chatId: id, dismissed: z.literal(true).optional() }),
  },
  acquisition_chat_started: {
    words: { zh: '获客链接开聊', en: 'began to chat by a link' },
    properties: z.strictObject({ userId: z.string().optional() }),
  },
  card_pressed: {
    words: { zh: '点了卡片按钮', en: 'pressed a button of a card' },
    properties: z.strictObject({ taskId: id, key: z.string(), selected: z.record(z.string(), z.array(z.string())) }),
  },
  menu_clicked: {
    words: { zh: '点了应用菜单', en: 'chose an entry of the menu' },
    properties: z.strictObject({ key: z.string() }),
  },
  guide_contacted: { words: { zh: '导购已联系', en: 'the guide got in touch' }, properties: card },
  customer_interested: { words: { zh: '客户有意向', en: 'showed interest' }, properties: card },
  opted_out: { words: { zh: '不再打扰', en: 'asked not to be written to' }, properties: wish, open: true },
  opted_in: { words: { zh: '同意触达', en: 'agreed to be written to' }, properties: wish, open: true },
  chat_message: {
    words: { zh: '聊天消息', en: 'a chat message' },
    properties: z.strictObject({ ...spoken, type: z.string(), characters: z.int(), topics: z.int() }),
  },
  chat_topic: {
    words: { zh: '聊到的话题', en: 'a topic in a chat' },
    properties: z.strictObject({ ...spoken, topic: z.string(), intent: z.string().optional() }),
  },
  chat_friend_requested: { words: { zh: '请求加好友', en: 'asked to be added' }, properties: z.strictObject(chat) },
  chat_friend_added: { words: { zh: '加了机器人好友', en: 'added the bot' }, properties: z.strictObject(chat) },
  chat_friend_removed: { words: { zh: '删了机器人好友', en: 'removed the bot' }, properties: z.strictObject(chat) },
  chat_room_joined: { words: { zh: '进了聊天群', en: 'joined a room' }, properties: room },
  chat_room_left: { words: { zh: '离开聊天群', en: 'left a room' }, properties: room },
  chat_room_renamed: { words: { zh: '聊天群改名', en: 'a room was renamed' }, properties: room },
} as const satisfies Record<string, SystemEvent>

export type SystemEventName = keyof typeof systemEvents
export type SystemProperties<N extends SystemEventName> = z.input<(typeof systemEvents)[N]['properties']>
export const systemEventNames = Object.keys(systemEvents) as SystemEventName[]

/** The properties of each of them, where nobody may add others. */
export function systemProperties(): Map<string, ReadonlySet<string>> {
  return new Map(
    Object.entries(systemEvents).flatMap(([name, { properties }]) =>
      properties.def.catchall instanceof z.ZodNever ? [[name, new Set(Object.keys(properties.shape))]] : [],
    ),
  )
}

/** An event of ours; one without its properties does not compile. */
export function systemEvent<N extends SystemEventName>(
  name: N,
  { id, occurredAt, properties }: { id: string; occurredAt: Date; properties: SystemProperties<N> },
): RecordEvent {
  return { id, name, occurredAt, properties }
}

/** Whether this service writes events of that name. */
export function isSystemEvent(name: string): boolean {
  return Object.hasOwn(systemEvents, name)
}

/** Whether only this service may write events of that name. */
export function isReservedEvent(name: string): boolean {
  const known: Readonly<Record<string, SystemEvent>> = systemEvents
  return isSystemEvent(name) && known[name]!.open === undefined
}

/** What is wrong with events that somebody else sends, if anything: the first that has a name of ours. */
export function findReservedEvent(events: readonly Pick<RecordEvent, 'name'>[]): Problem | undefined {
  const at = events.findIndex(({ name }) => isReservedEvent(name))
  return at === -1 ? undefined : reservedProblem(`events.${at}.name`, events[at]!.name)
}

export function reservedProblem(path: string, name: string): Problem & { hint: string } {
  return {
    path,
    message: said(`"${name}" 是系统事件，只由 siyu 自己写`, `"${name}" is an event that only siyu itself writes`),
    hint: said(`换个名字，如 shop_${name}`, `give it another name, e.g. shop_${name}`),
  }
}
