import { z } from 'zod'
import type { CallOptions, Calls } from './calls.js'
import { Attachments, Bytes, checkRequest } from './content.js'
import { Cursor, List, Nothing, Text, UnixSeconds } from './wire.js'

export type { Attachment } from './content.js'

const Content = {
  /** At most 4,000 bytes of UTF-8. */
  text: Bytes(4_000).or(z.literal('')),
  /** At most 9. */
  attachments: Attachments,
}
/** Page 92135. To all who match: `externalUserIds`, or `tags`, or all customers of the sender. */
export const MassMessage = z
  .object({
    /** The member in whose name it goes; without one each customer gets it from whoever was in touch last. */
    sender: z.string().min(1).optional(),
    /** At most 10,000; then `tags` do not count. */
    externalUserIds: z.array(z.string()).min(1).max(10_000).readonly().optional(),
    /** Corp tag ids: any within an inner list (at most 100), and all inner lists. */
    tags: z.array(z.array(z.string()).min(1).max(100).readonly()).min(1).readonly().optional(),
    /** The member may untick customers. Default false. */
    allowSelect: z.boolean().optional(),
    ...Content,
  })
  .refine((m) => m.sender ?? m.externalUserIds ?? m.tags, 'needs a sender, customers or tags')
  .refine((m) => m.text !== '' || m.attachments.length > 0, 'needs a text or an attachment')
export type MassMessage = z.input<typeof MassMessage>

export const GroupMassMessage = z
  .object({
    /** The owner of the groups. */
    sender: z.string().min(1),
    /** At most 2,000; without them the member chooses. */
    chatIds: z.array(z.string()).min(1).max(2_000).readonly().optional(),
    ...Content,
  })
  .refine((m) => m.text !== '' || m.attachments.length > 0, 'needs a text or an attachment')
export type GroupMassMessage = z.input<typeof GroupMassMessage>

const AddMsgTemplateReply = z.object({ msgid: z.string().min(1), fail_list: List(z.string()) })

const GroupMessage = z.object({
  msgid: z.string().min(1),
  /** Absent when an app made it. */
  creator: Text,
  /** The documented sample quotes it. */
  create_time: UnixSeconds,
  /** 0 the company or its apps, 1 a member. */
  create_type: z.number().optional(),
  text: z.object({ content: Text }).nullish(),
  attachments: List(z.looseObject({ msgtype: z.string(), link: z.looseObject({ url: Text }).optional() })),
})
export type GroupMessage = z.infer<typeof GroupMessage>
const GroupMessagesReply = z.object({ group_msg_list: List(GroupMessage), next_cursor: Cursor })

const GroupMessageTask = z.object({
  userid: z.string(),
  /** 0 not sent; anything else: the member pressed send. */
  status: z.number(),
  send_time: UnixSeconds.optional(),
})
export type GroupMessageTask = z.infer<typeof GroupMessageTask>
const GroupMessageTasksReply = z.object({ task_list: List(GroupMessageTask), next_cursor: Cursor })

const sent = {
  /** 0 not sent, 1 sent, 2 no friend any more, 3 the customer's quota is used up. */
  status: z.number(),
  send_time: UnixSeconds.optional(),
}
const GroupMessageSend = z.object({ external_userid: z.string().min(1), ...sent })
export type GroupMessageSend = z.infer<typeof GroupMessageSend>
const GroupMessageSendsReply = z.object({ send_list: List(GroupMessageSend), next_cursor: Cursor })
const ChatSend = z.object({ chat_id: z.string().min(1), ...sent })
export type ChatSend = z.infer<typeof ChatSend>
const ChatSendsReply = z.object({ send_list: List(ChatSend), next_cursor: Cursor })

export type MassFilter = {
  /** Default `single`: to customers. */
  chatType?: 'single' | 'group'
  /** Default `company`: made by the company or its apps. */
  madeBy?: 'company' | 'members' | 'anybody'
  /** A member; what apps made has none. */
  creator?: string
}
const FILTER_TYPES = { company: 0, members: 1, anybody: 2 }

type SendOptions = Pick<CallOptions, 'isLate'>

/** Mass messages to customers and groups (企业群发): tasks that members confirm. */
export function massCalls(calls: Calls) {
  const create = async (
    body: Record<string, unknown>,
    options: SendOptions = {},
  ): Promise<{ msgId: string; failed: string[] }> => {
    const { msgid, fail_list } = await calls.act('externalcontact/add_msg_template', AddMsgTemplateReply, body, {
      priority: 'send',
      ...options,
    })
    return { msgId: msgid, failed: fail_list }
  }
  const sendsOf = <S extends z.ZodType>(reply: z.ZodType<{ send_list: z.infer<S>[]; next_cursor: string | undefined }>) =>
    (msgId: string, userId: string): AsyncIterable<z.infer<S>[]> =>
      calls.pages(
        'externalcontact/get_groupmsg_send_result',
        reply,
        { msgid: msgId, userid: userId, limit: 1_000 },
        (page) => ({ items: page.send_list, next: page.next_cursor }),
      ) // prettier-ignore
  return {
    /**
     * Creates a task that the sender must confirm; nothing reaches a customer before. Has no idempotency key: settle a
     * lost answer by a link of its own (page 92135).
     *
     * @returns the task, and the customers it cannot reach
     * @throws {WecomError} 41048 when it can reach nobody; {InvalidInputError} above a documented limit
     */
    async create(message: MassMessage, options?: SendOptions): Promise<{ msgId: string; failed: string[] }> {
      const { sender, externalUserIds, tags, allowSelect, text, attachments } = checkRequest(
        MassMessage,
        message,
        'Mass message',
      )
      const body = {
        chat_type: 'single',
        sender,
        external_userid: externalUserIds,
        tag_filter: tags && { group_list: tags.map((list) => ({ tag_list: list })) },
        allow_select: allowSelect,
        ...contentOf(text, attachments),
      }
      return create(body, options)
    },
    /** The same to the sender's customer groups; needs a client from 4.1.10 on when groups are listed (page 92135). */
    async createForGroups(message: GroupMassMessage): Promise<{ msgId: string; failed: string[] }> {
      const { sender, chatIds, text, attachments } = checkRequest(GroupMassMessage, message, 'Mass message to groups')
      return create({ chat_type: 'group', sender, chat_id_list: chatIds, ...contentOf(text, attachments) })
    },
    /** Those created in [from, to]; at most a month. Tells neither recipients nor, of apps, the creator (page 93338). */
    list: (
      from: Date,
      to: Date,
      { chatType = 'single', madeBy = 'company', creator }: MassFilter = {},
    ): AsyncIterable<GroupMessage[]> =>
      calls.pages(
        'externalcontact/get_groupmsg_list_v2',
        GroupMessagesReply,
        {
          chat_type: chatType,
          start_time: Math.floor(from.getTime() / 1000),
          end_time: Math.ceil(to.getTime() / 1000),
          filter_type: FILTER_TYPES[madeBy],
          creator,
          limit: 100,
        },
        (page) => ({ items: page.group_msg_list, next: page.next_cursor }),
      ),
    /** Who has it before her, and whether she pressed send. @throws {WecomError} 41063 just after creation, 41093 cancelled */
    tasks: (msgId: string): AsyncIterable<GroupMessageTask[]> =>
      calls.pages(
        'externalcontact/get_groupmsg_task',
        GroupMessageTasksReply,
        { msgid: msgId, limit: 1_000 },
        (page) => ({ items: page.task_list, next: page.next_cursor }),
      ),
    /** What became of it, customer by customer. They settle some time after the member's tap. */
    sends: sendsOf<typeof GroupMessageSend>(GroupMessageSendsReply),
    /** The same of a message to groups; without listed groups only those it was sent to. */
    chatSends: sendsOf<typeof ChatSend>(ChatSendsReply),
    /** At most 3 times in 24 h per message, then 41094 (page 97610). */
    async remind(msgId: string): Promise<void> {
      await calls.act('externalcontact/remind_groupmsg_send', Nothing, { msgid: msgId })
    },
    /** Stops members who have not confirmed yet; cancelling twice is fine (page 97611). */
    async cancel(msgId: string): Promise<void> {
      // Cancelling again changes nothing, so a lost answer is simply asked for once more.
      await calls.unless(['already_done'], calls.put('externalcontact/cancel_groupmsg_send', Nothing, { msgid: msgId }))
    },
  }
}

function contentOf(text: string, attachments: unknown): Record<string, unknown> {
  return { text: text === '' ? undefined : { content: text }, attachments }
}
