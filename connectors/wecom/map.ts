import { z } from 'zod'
import { parseInput, type Identifier, type RecordEvent, type SourceRecordInput } from '../../src/connector.js'

/** A customer with the members who follow her: the answer of `externalcontact/get`, or the same built from batches. */
export const ContactDetail = z.object({
  external_contact: z.object({
    external_userid: z.string().min(1).max(64),
    name: z.string().nullish(),
    avatar: z.string().nullish(),
    type: z.number().nullish(),
    gender: z.number().nullish(),
    unionid: z.string().nullish(),
  }),
  follow_user: z.array(
    z.object({
      userid: z.string().min(1).max(64),
      createtime: z.coerce.number().int().nonnegative(),
      add_way: z.number().nullish(),
      state: z.string().nullish(),
      remark_mobiles: z.array(z.string()).nullish(),
      /** From details. `type` 1 corp tag, 2 the member's own (no id), 3 of a rule group. */
      tags: z
        .array(
          z.object({
            group_name: z.string().nullish(),
            tag_name: z.string().nullish(),
            tag_id: z.string().nullish(),
            type: z.number(),
          }),
        )
        .nullish(),
      /** From batches: ids only, the member's own tags left out. */
      tag_id: z.array(z.string()).nullish(),
    }),
  ),
})
export type ContactDetail = z.input<typeof ContactDetail>

const GENDERS: Readonly<Record<number, string>> = { 1: 'male', 2: 'female' }
const MAX_IDENTIFIERS = 50

/**
 * One record per customer: identifiers, traits, and one `contact_added` per follower, whose id rests on the time of the
 * relation, so that a full sync and a callback tell the same event.
 *
 * Phones are what members typed into their remarks: evidence, not proof.
 * @param now - when it was read
 * @param tagNames - `wecomTagName` of corp tags by id; tags without a known name are listed by id
 */
export function contactToRecord(
  detail: ContactDetail,
  now: Date,
  tagNames: ReadonlyMap<string, string> = new Map(),
): SourceRecordInput {
  const { external_contact: contact, follow_user: follows } = parseInput(ContactDetail, detail, 'Not a WeCom contact')
  const inOrder = [...follows].sort((a, b) => a.createtime - b.createtime || (a.userid < b.userid ? -1 : 1))

  const phones = unique(inOrder.flatMap((follow) => follow.remark_mobiles ?? []).map((phone) => phone.trim()))
  const identifiers: Identifier[] = [
    { type: 'external_userid', value: contact.external_userid },
    ...(contact.unionid ? [{ type: 'unionid', value: contact.unionid }] : []),
    ...phones.filter((phone) => phone !== '').map((value) => ({ type: 'phone', value })),
  ]
  const tags = unique(
    inOrder.flatMap((follow) => [
      ...(follow.tags ?? [])
        .filter((tag) => tag.type === 1)
        .map(
          ({ group_name: group, tag_name: name, tag_id: id }) =>
            (name && wecomTagName(group ?? '', name)) || tagNames.get(id ?? '') || id || '',
        ),
      ...(follow.tag_id ?? []).map((id) => tagNames.get(id) ?? id),
    ]),
  )
  const gender = GENDERS[contact.gender ?? 0]
  return {
    ref: `wecom:${contact.external_userid}`,
    source: 'wecom',
    observedAt: now,
    identifiers: identifiers.slice(0, MAX_IDENTIFIERS),
    traits: {
      ...(contact.name && { name: contact.name }),
      ...(gender !== undefined && { gender }),
      ...(contact.avatar && { avatar: contact.avatar }),
      // The member who has known her longest; null takes back what an earlier sync said.
      wecom_owner: inOrder[0]?.userid ?? null,
      wecom_followers: listOf(inOrder.map((follow) => follow.userid)),
      wecom_tags: listOf(tags.filter((tag) => tag !== '').sort()),
    },
    events: inOrder.map((follow) => ({
      id: `wecom:add:${contact.external_userid}:${follow.userid}:${follow.createtime}`,
      name: 'contact_added',
      occurredAt: fromUnix(follow.createtime),
      properties: {
        userId: follow.userid,
        externalUserId: contact.external_userid,
        ...(follow.add_way != null && { addWay: follow.add_way }),
        ...(follow.state && { state: follow.state }),
      },
    })),
  }
}

/**
 * A corp tag as rules name it, `等级/重要`, in the trait `wecom_tags`: `{ trait: wecom_tags, has: 等级/重要 }`. The trait lists
 * them with commas, so a comma in a name is written as the wide one.
 */
export function wecomTagName(group: string, name: string): string {
  return (group === '' ? name : `${group}/${name}`).replaceAll(',', '，')
}

/** What a callback asks us to do. */
export type WecomEvent =
  /** Fetch this contact anew; an added one's event comes with it. Half-added contacts cannot be fetched until the member confirms. */
  | {
      kind: 'fetch_contact'
      why: 'added' | 'half_added' | 'edited'
      externalUserId: string
      userId: string
      /** Channel code of the contact way or link. */
      state?: string
      /** Good for one welcome message within 20 s of `at`. */
      welcomeCode?: string
      at: Date
    }
  /** The relation ended. After a customer left, the member still has her; the contact can be fetched for who remains. */
  | {
      kind: 'contact_deleted'
      by: 'customer' | 'member' | 'transfer'
      externalUserId: string
      userId: string
      at: Date
    }
  /** A corp tag or group changed: fetch the tags anew. `id` may be absent after a re-ordering. */
  | { kind: 'fetch_tags'; why: string; id?: string; at: Date }
  /** A guide pressed a button of a card. */
  | {
      kind: 'card'
      taskId: string
      key: string
      userId: string
      /** Absent when the card cannot be updated. */
      responseCode?: string
      /** Option ids by question, for cards with choices. */
      selected: Record<string, string[]>
      at: Date
    }
  /** Nothing we act on, or an event this version does not know. */
  | { kind: 'other'; name: string; at: Date }

const Text = z.string().optional()
const Head = z.object({
  CreateTime: z.coerce.number().int().nonnegative(),
  MsgType: z.string(),
  Event: z.string().default(''),
  ChangeType: z.string().default(''),
})
const ContactChange = z.object({
  UserID: z.string().min(1),
  ExternalUserID: z.string().min(1),
  State: Text,
  WelcomeCode: Text,
  Source: Text,
})
const TagChange = z.object({ Id: Text })

/** One element or several: the parser gives an array only when it repeats. */
const many = <S extends z.ZodType>(item: S) => z.union([z.array(item), item.transform((one) => [one])])
const OptionIds = z.object({ OptionId: many(z.string()).optional(), OpitonId: many(z.string()).optional() })
const SelectedItem = z.object({
  QuestionKey: z.string(),
  OptionIds: OptionIds.optional(),
  /** Misspelt in part of the official material. */
  OpitonIds: OptionIds.optional(),
})
const CardEvent = z.object({
  FromUserName: z.string().min(1),
  EventKey: z.string(),
  TaskId: z.string().min(1),
  ResponseCode: Text,
  SelectedItems: z.union([z.object({ SelectedItem: many(SelectedItem) }), z.literal('')]).optional(),
})

const FETCH_WHY = {
  add_external_contact: 'added',
  add_half_external_contact: 'half_added',
  edit_external_contact: 'edited',
} as const

/**
 * What the decrypted callback means; unknown events become `other`.
 * @param content - elements of the message by name, every leaf a text
 * @see developer.work.weixin.qq.com/document/path/92130 and 90240 (read 2026-08)
 * @throws {InvalidInputError} when an event we know lacks what it must have
 */
export function readCallbackEvent(content: Record<string, unknown>): WecomEvent {
  const head = parseInput(Head, content, 'Not a WeCom callback')
  const at = fromUnix(head.CreateTime)
  const name = [head.MsgType === 'event' ? '' : head.MsgType, head.Event, head.ChangeType].filter(Boolean).join('/')
  switch (head.Event) {
    case 'change_external_contact':
      return readContactChange(content, head.ChangeType, at) ?? { kind: 'other', name, at }
    case 'change_external_tag': {
      const { Id: id } = parseInput(TagChange, content, `Callback ${name}`)
      return { kind: 'fetch_tags', why: head.ChangeType, ...(id && { id }), at }
    }
    case 'template_card_event':
    case 'template_card_menu_event':
      return readCardEvent(content, name, at)
    default:
      return { kind: 'other', name, at }
  }
}

function readContactChange(content: unknown, changeType: string, at: Date): WecomEvent | undefined {
  if (isFetch(changeType)) {
    const { UserID, ExternalUserID, State, WelcomeCode } = parseInput(ContactChange, content, `Callback ${changeType}`)
    return {
      kind: 'fetch_contact',
      why: FETCH_WHY[changeType],
      externalUserId: ExternalUserID,
      userId: UserID,
      ...(State && { state: State }),
      ...(WelcomeCode && { welcomeCode: WelcomeCode }),
      at,
    }
  }
  if (changeType === 'del_follow_user' || changeType === 'del_external_contact') {
    const { UserID, ExternalUserID, Source } = parseInput(ContactChange, content, `Callback ${changeType}`)
    const byMember = Source === 'DELETE_BY_TRANSFER' ? 'transfer' : 'member'
    const by = changeType === 'del_follow_user' ? 'customer' : byMember
    return { kind: 'contact_deleted', by, externalUserId: ExternalUserID, userId: UserID, at }
  }
  return undefined
}

function readCardEvent(content: unknown, name: string, at: Date): WecomEvent {
  const card = parseInput(CardEvent, content, `Callback ${name}`)
  const items = typeof card.SelectedItems === 'object' ? card.SelectedItems.SelectedItem : []
  return {
    kind: 'card',
    taskId: card.TaskId,
    key: card.EventKey,
    userId: card.FromUserName,
    ...(card.ResponseCode && { responseCode: card.ResponseCode }),
    selected: Object.fromEntries(
      items.map(({ QuestionKey, OptionIds: right, OpitonIds: misspelt }) => {
        const ids = right ?? misspelt
        return [QuestionKey, ids?.OptionId ?? ids?.OpitonId ?? []]
      }),
    ),
    at,
  }
}

/** The end of a relation as a record; repeated callbacks give the same event id. */
export function deletionToRecord(
  { by, externalUserId, userId, at }: Extract<WecomEvent, { kind: 'contact_deleted' }>,
  now: Date,
): SourceRecordInput {
  const event: RecordEvent = {
    id: `wecom:del:${externalUserId}:${userId}:${by}:${at.getTime() / 1000}`,
    name: 'contact_deleted',
    occurredAt: at,
    properties: { userId, externalUserId, by },
  }
  return {
    ref: `wecom:${externalUserId}`,
    source: 'wecom',
    observedAt: now,
    identifiers: [{ type: 'external_userid', value: externalUserId }],
    events: [event],
  }
}

function isFetch(changeType: string): changeType is keyof typeof FETCH_WHY {
  return changeType in FETCH_WHY
}

function unique(items: readonly string[]): string[] {
  return [...new Set(items)]
}

/** A trait holds one value: a list becomes text, `null` when empty. */
function listOf(items: readonly string[]): string | null {
  return items.length === 0 ? null : items.join(',')
}

function fromUnix(seconds: number): Date {
  return new Date(seconds * 1000)
}
