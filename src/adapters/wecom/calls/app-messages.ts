import { z } from 'zod'
import type { CallOptions, Calls } from './calls.js'
import { TemplateCard } from './cards.js'
import { Bytes, Characters, checkRequest, MediaId, Url } from './content.js'
import { List, Nothing, Text, UserIds } from './wire.js'

const Media = z.object({ media_id: MediaId })
const Article = z
  .object({
    title: Bytes(128),
    description: Bytes(512).optional(),
    url: Url.optional(),
    /** 1068 × 455 for the first, 150 × 150 for the others. */
    picurl: Bytes(2_048).optional(),
    /** With `pagepath` goes before `url`. */
    appid: z.string().optional(),
    pagepath: Bytes(128).optional(),
  })
  .refine((article) => article.url ?? article.appid, 'needs url or appid')
const StoredArticle = z.object({
  title: Bytes(128),
  thumb_media_id: MediaId,
  author: Bytes(64).optional(),
  content_source_url: Url.optional(),
  /** HTML. */
  content: Bytes(666 * 1_024),
  digest: Bytes(512).optional(),
})
const Articles = <S extends z.ZodType>(article: S) => z.object({ articles: z.array(article).min(1).max(8) })
const Cell = z.object({ key: Characters(10), value: Characters(30) })
const ShortText = Characters(12).refine((text) => [...text].length >= 4, 'at least 4 characters')

/** The kinds that members get directly and in app chats (pages 90236, 90248). */
const shared = [
  z.object({ msgtype: z.literal('text'), text: z.object({ content: Bytes(2_048) }) }),
  z.object({ msgtype: z.literal('image'), image: Media }),
  z.object({ msgtype: z.literal('voice'), voice: Media }),
  z.object({
    msgtype: z.literal('video'),
    video: Media.extend({ title: Bytes(128).optional(), description: Bytes(512).optional() }),
  }),
  z.object({ msgtype: z.literal('file'), file: Media }),
  z.object({
    msgtype: z.literal('textcard'),
    /** The description may use `<div class="gray|normal|highlight">` and `<br>`. */
    textcard: z.object({
      title: Characters(128),
      description: Characters(512),
      url: Url,
      btntxt: Characters(4).optional(),
    }),
  }),
  z.object({ msgtype: z.literal('news'), news: Articles(Article) }),
  z.object({ msgtype: z.literal('mpnews'), mpnews: Articles(StoredArticle) }),
  z.object({ msgtype: z.literal('markdown'), markdown: z.object({ content: Bytes(2_048) }) }),
] as const

export const ChatContent = z.discriminatedUnion('msgtype', [...shared])
export type ChatContent = z.input<typeof ChatContent>

export const AppContent = z.discriminatedUnion('msgtype', [
  ...shared,
  z.object({
    msgtype: z.literal('miniprogram_notice'),
    /** Only of an app that is bound to the mini program, and never to everybody. */
    miniprogram_notice: z.object({
      appid: z.string().min(1),
      page: z.string().optional(),
      title: ShortText,
      description: ShortText.optional(),
      emphasis_first_item: z.boolean().optional(),
      content_item: z.array(Cell).max(10).optional(),
    }),
  }),
  z.object({ msgtype: z.literal('template_card'), template_card: TemplateCard }),
])
export type AppContent = z.input<typeof AppContent>

const Receivers = {
  /** At most 1,000. */
  toUsers: z.array(z.string()).max(1_000).readonly().optional(),
  /** At most 100, each with the departments below it. */
  toDepartments: z.array(z.int()).max(100).readonly().optional(),
  /** At most 100 ids of member tags. */
  toTags: z.array(z.int()).max(100).readonly().optional(),
}
export const AppMessage = z
  .object({
    ...Receivers,
    /** Everybody the app sees; the other receivers do not count then. */
    toAll: z.boolean().optional(),
    content: AppContent,
    /** 0 normal, 1 confidential, 2 (mpnews only) not to be shared outside. Not for news. */
    safe: z.int().min(0).max(2).optional(),
    /** The same request within this many seconds (at most 14,400) succeeds without being delivered again. */
    duplicateCheckSeconds: z.int().min(1).max(14_400).optional(),
  })
  .refine(
    (m) => m.toAll === true || [m.toUsers, m.toDepartments, m.toTags].some((list) => list?.length),
    'needs a receiver',
  )
  .refine((m) => !m.safe || m.content.msgtype !== 'news', 'safe does not go with news') // prettier-ignore
  .refine((m) => m.safe !== 2 || m.content.msgtype === 'mpnews', 'safe 2 goes with mpnews only')
export type AppMessage = z.input<typeof AppMessage>

const CardUpdate = z
  .object({
    ...Receivers,
    /** All who got the card. */
    toAll: z.boolean().optional(),
    /** Of the send, or of a callback: 72 h, once. */
    responseCode: z.string().min(1),
    /** Greys the button, with this text. */
    button: z.string().min(1).optional(),
    /** Replaces the whole card. */
    card: TemplateCard.optional(),
  })
  .refine((u) => (u.button === undefined) !== (u.card === undefined), 'needs button or card, one of them')
export type CardUpdate = z.input<typeof CardUpdate>

const MessageReply = z.object({
  msgid: Text,
  response_code: Text,
  invaliduser: UserIds,
  invalidparty: UserIds,
  invalidtag: UserIds,
  unlicenseduser: UserIds,
})
const CardUpdateReply = z.object({ invaliduser: UserIds })
const StatisticsReply = z.object({
  statistics: List(z.object({ agentid: z.coerce.number(), app_name: Text, count: z.coerce.number().default(0) })),
})

export type SentMessage = {
  /** For `recall`. */
  msgId?: string
  /** For `updateCard`: of cards on which the member can do something. */
  responseCode?: string
  /** Userids that got nothing, in lower case; with those that have no licence. */
  invalid: string[]
  invalidDepartments: string[]
  invalidTags: string[]
}

/** Messages of the app to members (应用消息). */
export function appMessageCalls(calls: Calls, agentId: number) {
  const updateCard = async (update: CardUpdate): Promise<string[]> => {
    const checked = checkRequest(CardUpdate, update, 'Card update')
    const { toUsers, toDepartments, toTags, toAll, responseCode, button, card } = checked
    const reply = await calls.act('message/update_template_card', CardUpdateReply, {
      userids: toUsers,
      partyids: toDepartments,
      tagids: toTags,
      atall: toAll === true ? 1 : undefined,
      agentid: agentId,
      response_code: responseCode,
      button: button === undefined ? undefined : { replace_name: button },
      template_card: card,
    })
    return reply.invaliduser
  }
  return {
    /**
     * Heed `APP_MESSAGES_PER_MEMBER`: what goes beyond is dropped silently (page 90236). A day's quota is 200
     * person-times for each account of the company.
     *
     * @throws {WecomError} 81013 when nobody can be reached; {InvalidInputError} above a documented limit
     */
    async send(message: AppMessage, options: Pick<CallOptions, 'isLate'> = {}): Promise<SentMessage> {
      const checked = checkRequest(AppMessage, message, 'App message')
      const { toUsers, toDepartments, toTags, toAll, content, safe, duplicateCheckSeconds } = checked
      const reply = await calls.act(
        'message/send',
        MessageReply,
        {
          touser: toAll === true ? '@all' : toUsers?.join('|'),
          toparty: toDepartments?.join('|'),
          totag: toTags?.join('|'),
          agentid: agentId,
          ...content,
          safe,
          ...(duplicateCheckSeconds !== undefined && {
            enable_duplicate_check: 1,
            duplicate_check_interval: duplicateCheckSeconds,
          }),
        },
        { priority: 'send', ...options },
      )
      return {
        invalid: [...reply.invaliduser, ...reply.unlicenseduser],
        invalidDepartments: reply.invalidparty,
        invalidTags: reply.invalidtag,
        ...(reply.msgid !== undefined && { msgId: reply.msgid }),
        ...(reply.response_code !== undefined && { responseCode: reply.response_code }),
      }
    },
    /** Another card, or a grey button, in place of one that was sent (page 94888). @returns userids that are not valid */
    updateCard,
    /** Greys the button of one member's card, with this text (page 94888). */
    async updateButton(userId: string, responseCode: string, text: string): Promise<void> {
      await updateCard({ toUsers: [userId], responseCode, button: text })
    },
    /** Within 24 h, in the WeCom client only (page 94867). */
    async recall(msgId: string): Promise<void> {
      await calls.put('message/recall', Nothing, { msgid: msgId }) // twice is once
    },
    /** Person-times by app; @param day - in Beijing (page 92369) */
    async statistics(day: 'today' | 'yesterday'): Promise<{ agentId: number; count: number }[]> {
      const body = { time_type: day === 'today' ? 0 : 1 }
      const { statistics } = await calls.read('message/get_statistics', StatisticsReply, body)
      return statistics.map(({ agentid, count }) => ({ agentId: agentid, count }))
    },
  }
}
