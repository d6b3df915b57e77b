import { z } from 'zod'
import type { Calls } from './calls.js'
import { Cursor, List, Nothing, Text, UnixSeconds } from './wire.js'

const AddMsgTemplateReply = z.object({ msgid: z.string().min(1), fail_list: List(z.string()) })

const GroupMessage = z.object({
  msgid: z.string().min(1),
  creator: Text,
  create_time: UnixSeconds,
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

const GroupMessageSend = z.object({
  external_userid: z.string().min(1),
  /** 0 not sent, 1 sent, 2 no friend any more, 3 the customer's quota is used up. */
  status: z.number(),
  send_time: UnixSeconds.optional(),
})
export type GroupMessageSend = z.infer<typeof GroupMessageSend>
const GroupMessageSendsReply = z.object({ send_list: List(GroupMessageSend), next_cursor: Cursor })

/** What a message to a customer may carry besides its text. */
export type Attachment =
  | { msgtype: 'link'; link: { title: string; url: string; desc?: string; picurl?: string } }
  | { msgtype: 'image'; image: { media_id: string } | { pic_url: string } }
  | { msgtype: 'miniprogram'; miniprogram: { title: string; pic_media_id: string; appid: string; page: string } }
  | { msgtype: 'video'; video: { media_id: string } }
  | { msgtype: 'file'; file: { media_id: string } }

export type MassMessage = {
  /** The member in whose name it goes. */
  sender: string
  /** At most 10,000. */
  externalUserIds: readonly string[]
  /** At most 4,000 bytes of UTF-8. */
  text: string
  /** At most 9. */
  attachments: readonly Attachment[]
}

/** Mass messages to customers (企业群发): tasks that members confirm. */
export function massCalls(calls: Calls) {
  return {
    /**
     * Creates a task that the sender must confirm. Has no idempotency key: settle a lost answer by a link of its own
     * (page 92135).
     */
    async create({
      sender,
      externalUserIds,
      text,
      attachments,
    }: MassMessage): Promise<{ msgId: string; failed: string[] }> {
      const { msgid, fail_list } = await calls.act(
        'externalcontact/add_msg_template',
        AddMsgTemplateReply,
        { chat_type: 'single', sender, external_userid: externalUserIds, text: { content: text }, attachments },
        { priority: 'send' },
      )
      return { msgId: msgid, failed: fail_list }
    },
    /** Messages to customers made by the company or its apps, created in [from, to]; at most a month (page 93338). */
    list: (from: Date, to: Date): AsyncIterable<GroupMessage[]> =>
      calls.pages(
        'externalcontact/get_groupmsg_list_v2',
        GroupMessagesReply,
        {
          chat_type: 'single',
          start_time: Math.floor(from.getTime() / 1000),
          end_time: Math.ceil(to.getTime() / 1000),
          filter_type: 0,
          limit: 100,
        },
        (page) => ({ items: page.group_msg_list, next: page.next_cursor }),
      ),
    tasks: (msgId: string): AsyncIterable<GroupMessageTask[]> =>
      calls.pages(
        'externalcontact/get_groupmsg_task',
        GroupMessageTasksReply,
        { msgid: msgId, limit: 1_000 },
        (page) => ({
          items: page.task_list,
          next: page.next_cursor,
        }),
      ),
    sends: (msgId: string, userId: string): AsyncIterable<GroupMessageSend[]> =>
      calls.pages(
        'externalcontact/get_groupmsg_send_result',
        GroupMessageSendsReply,
        { msgid: msgId, userid: userId, limit: 1_000 },
        (page) => ({ items: page.send_list, next: page.next_cursor }),
      ),
    /** At most 3 times in 24 h per message. */
    async remind(msgId: string): Promise<void> {
      await calls.act('externalcontact/remind_groupmsg_send', Nothing, { msgid: msgId })
    },
    /** Stops members who have not confirmed yet; cancelling twice is fine. */
    async cancel(msgId: string): Promise<void> {
      // Cancelling again changes nothing, so a lost answer is simply asked for once more.
      await calls.unless(
        ['already_done'],
        calls.read('externalcontact/cancel_groupmsg_send', Nothing, { msgid: msgId }),
      )
    },
  }
}
