import { z } from 'zod'
import type { WecomEvent } from '../../../domain/wecom/event.js'
import { parseInput } from '../../../parse.js'

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
  FailReason: Text,
})
const GroupChange = z.object({ ChatId: z.string().min(1) })
const MemberChange = z.object({ UserID: z.string().min(1), NewUserID: Text })
const AcquisitionChange = z.object({ UserID: Text, ExternalUserID: Text, LinkId: Text, State: Text })
const MenuClick = z.object({ FromUserName: z.string().min(1), EventKey: z.string() })

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

/**
 * What the decrypted callback means; unknown events become `other`.
 * @param content - elements of the message by name, every leaf a text
 * @see developer.work.weixin.qq.com/document/path/92130, 92131, 92140, 97299, 90240 and 90970 (read 2026-08)
 * @throws {InvalidInputError} when an event we know lacks what it must have
 */
export function readCallbackEvent(content: Record<string, unknown>): WecomEvent {
  const { CreateTime, MsgType, Event, ChangeType } = parseInput(Head, content, 'Not a WeCom callback')
  const at = new Date(CreateTime * 1000)
  const name = [MsgType === 'event' ? '' : MsgType, Event, ChangeType].filter(Boolean).join('/')
  const read = <S extends z.ZodType>(schema: S) => parseInput(schema, content, `Callback ${name}`)
  const other: WecomEvent = { kind: 'other', name, at }
  switch (Event) {
    case 'change_external_contact':
      return readContactChange(ChangeType, () => read(ContactChange), at) ?? other
    case 'change_external_chat':
      return isOneOf(['create', 'update', 'dismiss'], ChangeType)
        ? { kind: 'group', change: ChangeType, chatId: read(GroupChange).ChatId, at }
        : other
    case 'change_external_tag':
      return { kind: 'tags', change: ChangeType, at }
    case 'change_contact':
      return readDirectoryChange(ChangeType, () => read(MemberChange), at) ?? other
    case 'customer_acquisition': {
      const { UserID: userId, ExternalUserID: externalUserId, LinkId: linkId, State: state } = read(AcquisitionChange)
      const who = { ...(userId && { userId }), ...(externalUserId && { externalUserId }) }
      return { kind: 'acquisition', change: ChangeType, ...who, ...(linkId && { linkId }), ...(state && { state }), at }
    }
    case 'template_card_event':
    case 'template_card_menu_event':
      return readCardEvent(read(CardEvent), at)
    case 'click': {
      const { FromUserName: userId, EventKey: key } = read(MenuClick)
      return { kind: 'menu', userId, key, at }
    }
    default:
      return other
  }
}

const CONTACT_WHY = {
  add_external_contact: 'added',
  add_half_external_contact: 'half_added',
  edit_external_contact: 'edited',
} as const

function readContactChange(
  changeType: string,
  read: () => z.infer<typeof ContactChange>,
  at: Date,
): WecomEvent | undefined {
  const who = ({ UserID, ExternalUserID }: z.infer<typeof ContactChange>) => ({
    externalUserId: ExternalUserID,
    userId: UserID,
    at,
  })
  switch (changeType) {
    case 'add_external_contact':
    case 'add_half_external_contact':
    case 'edit_external_contact': {
      const said = read()
      const { State: state, WelcomeCode: welcomeCode } = said
      return {
        kind: 'contact',
        why: CONTACT_WHY[changeType],
        ...who(said),
        ...(state && { state }),
        ...(welcomeCode && { welcomeCode }),
      }
    }
    case 'del_follow_user':
      return { kind: 'contact_lost', by: 'customer', ...who(read()) }
    case 'del_external_contact': {
      const said = read()
      return { kind: 'contact_lost', by: said.Source === 'DELETE_BY_TRANSFER' ? 'transfer' : 'member', ...who(said) }
    }
    case 'transfer_fail': {
      const said = read()
      return { kind: 'transfer_failed', reason: said.FailReason ?? 'unknown', ...who(said) }
    }
    default:
      return undefined
  }
}

function readDirectoryChange(
  changeType: string,
  read: () => z.infer<typeof MemberChange>,
  at: Date,
): WecomEvent | undefined {
  const [change, of] = changeType.split('_')
  if (of === 'party') return { kind: 'department', at }
  if (of !== 'user' || !isOneOf(['create', 'update', 'delete'], change)) return undefined
  const { UserID: userId, NewUserID: newUserId } = read()
  return { kind: 'member', change, userId, ...(newUserId && { newUserId }), at }
}

function readCardEvent(card: z.infer<typeof CardEvent>, at: Date): WecomEvent {
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

function isOneOf<const T extends string>(names: readonly T[], name: string | undefined): name is T {
  return names.includes(name as T)
}
