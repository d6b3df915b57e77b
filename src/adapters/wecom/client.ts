import type { z } from 'zod'
import { WecomError } from './error-codes.js'
import * as reply from './replies.js'
import { createTransport, type WecomOptions } from './transport.js'

export type { WecomOptions } from './transport.js'
export type {
  ContactDetail,
  ContactRow,
  Department,
  GroupMessage,
  GroupMessageSend,
  GroupMessageTask,
} from './replies.js'
export type { Member, TagGroup } from './replies.js'

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

export type AppMessage = {
  toUsers: readonly string[]
  content:
    | { msgtype: 'text'; text: { content: string } }
    | { msgtype: 'template_card'; template_card: Record<string, unknown> }
  /** The same request within this many seconds (at most 14,400) succeeds without being delivered again. */
  duplicateCheckSeconds?: number
}

/**
 * The calls of one app of one company. Reads are repeated by themselves, calls with an effect never are. Every method
 * throws {WecomError} when refused, {UpstreamError} when not reached, {UnknownOutcomeError} when a call with an effect
 * lost its answer.
 */
export interface WecomClient {
  readonly agentId: number

  agent(): Promise<z.infer<typeof reply.AgentReply>>

  /** Members with the customer-contact feature, as far as the app may see them. */
  followUsers(): Promise<string[]>
  /** External userids of one member's customers; empty when she has none. */
  contactIdsOf(userId: string): Promise<string[]>
  /** All followers included; `undefined` when nobody we may see has this contact (any more, or yet: half-added). */
  contact(externalUserId: string): Promise<reply.ContactDetail | undefined>
  /** One row per (member, customer), in pages of at most 100. @param userIds - at most 100 */
  contactRows(userIds: readonly string[]): AsyncIterable<reply.ContactRow[]>
  /** Every corp tag by group. */
  corpTags(): Promise<reply.TagGroup[]>
  /** At least one of the fields. `mobiles` replaces the whole list. */
  remark(userId: string, externalUserId: string, fields: RemarkFields): Promise<void>
  /** Refused as a whole (40068) when one tag is deleted or foreign. */
  markTags(userId: string, externalUserId: string, change: { add?: string[]; remove?: string[] }): Promise<void>

  member(userId: string): Promise<reply.Member>
  membersOf(departmentId: number): Promise<reply.Member[]>
  /** Every (member, department); needs the contact-sync secret. */
  memberIds(): AsyncIterable<{ userid: string; department: number }[]>
  departments(): Promise<reply.Department[]>

  /** Creates a task that the sender must confirm. Has no idempotency key: settle a lost answer by a link of its own. */
  addMassMessage(message: MassMessage): Promise<{ msgId: string; failed: string[] }>
  /** Messages to customers made by the company or its apps, created in [from, to]; at most a month. */
  massMessages(from: Date, to: Date): AsyncIterable<reply.GroupMessage[]>
  massMessageTasks(msgId: string): AsyncIterable<reply.GroupMessageTask[]>
  massMessageSends(msgId: string, userId: string): AsyncIterable<reply.GroupMessageSend[]>
  /** At most 3 times in 24 h per message. */
  remindMassMessage(msgId: string): Promise<void>
  /** Stops members who have not confirmed yet; cancelling twice is fine. */
  cancelMassMessage(msgId: string): Promise<void>
  /** Within 20 s of the callback that carried the code; once. */
  sendWelcome(welcomeCode: string, text: string, attachments?: readonly Attachment[]): Promise<void>

  /** Heed `APP_MESSAGES_PER_MEMBER`: what goes beyond is dropped silently. `invalid` userids are in lower case. */
  sendMessage(message: AppMessage): Promise<{ msgId?: string; responseCode?: string; invalid: string[] }>
  /** Greys the button of a card, with this text. */
  updateCardButton(userId: string, responseCode: string, text: string): Promise<void>
  /** Within 24 h. */
  recallMessage(msgId: string): Promise<void>
  /** Temporary, 3 days. Resolves to the media id. */
  uploadMedia(
    type: 'image' | 'voice' | 'video' | 'file',
    fileName: string,
    bytes: Uint8Array<ArrayBuffer>,
  ): Promise<string>

  /** May be called twice. */
  close(): void
}

export type RemarkFields = { remark?: string; description?: string; company?: string; mobiles?: readonly string[] }

const CONTACT_BATCH = { members: 100, limit: 100 }

export function createWecomClient(options: WecomOptions): WecomClient {
  const { agentId } = options
  const transport = createTransport(options)

  type Json = Record<string, unknown>
  const get = <S extends z.ZodType>(api: string, schema: S, query?: Record<string, string | number>) =>
    transport.call({ api, reply: schema, repeat: 'harmless', ...(query && { query }) })
  const read = <S extends z.ZodType>(api: string, schema: S, body: Json) =>
    transport.call({ api, reply: schema, repeat: 'harmless', body })
  const act = <S extends z.ZodType>(api: string, schema: S, body: Json) =>
    transport.call({ api, reply: schema, repeat: 'effect', body })

  /** Follows cursors: a page may be empty while there is a next one. */
  async function* readPages<S extends z.ZodType, T>(
    api: string,
    schema: S,
    body: Json,
    take: (page: z.infer<S>) => { items: T[]; next: string | undefined },
    meaningEmpty: readonly WecomError['meaning'][] = [],
  ): AsyncIterable<T[]> {
    let cursor: string | undefined
    do {
      const page = await unless(meaningEmpty, read(api, schema, cursor === undefined ? body : { ...body, cursor }))
      if (page === undefined) return
      const { items, next } = take(page)
      if (items.length > 0) yield items
      cursor = next
    } while (cursor !== undefined)
  }

  return {
    agentId,
    close: () => transport.close(),

    agent: () => get('agent/get', reply.AgentReply, { agentid: agentId }),

    async followUsers() {
      return (await get('externalcontact/get_follow_user_list', reply.FollowUsersReply)).follow_user
    },
    async contactIdsOf(userId) {
      const api = 'externalcontact/list'
      const list = await unless(['already_done'], get(api, reply.ContactIdsReply, { userid: userId }))
      return list?.external_userid ?? []
    },
    async contact(externalUserId) {
      const fetchPage = (cursor: string | undefined) =>
        get('externalcontact/get', reply.ContactReply, {
          external_userid: externalUserId,
          ...(cursor !== undefined && { cursor }),
        })
      const first = await unless(['give_up_recipient'], fetchPage(undefined))
      if (first === undefined) return undefined
      const { external_contact, follow_user, next_cursor } = first
      for (let cursor = next_cursor; cursor !== undefined;) {
        const page = await fetchPage(cursor)
        follow_user.push(...page.follow_user)
        cursor = page.next_cursor
      }
      return { external_contact, follow_user }
    },
    contactRows: (userIds) =>
      readPages(
        'externalcontact/batch/get_by_user',
        reply.ContactBatchReply,
        { userid_list: userIds, limit: CONTACT_BATCH.limit },
        (page) => ({ items: page.external_contact_list, next: page.next_cursor }),
        ['already_done'],
      ),
    async corpTags() {
      return (await read('externalcontact/get_corp_tag_list', reply.TagGroupsReply, {})).tag_group
    },
    async remark(userId, externalUserId, { remark, description, company, mobiles }) {
      await act('externalcontact/remark', reply.Nothing, {
        userid: userId,
        external_userid: externalUserId,
        remark,
        description,
        remark_company: company,
        // An empty list would change nothing: one empty number clears it.
        remark_mobiles: mobiles?.length === 0 ? [''] : mobiles,
      })
    },
    async markTags(userId, externalUserId, { add, remove }) {
      await act('externalcontact/mark_tag', reply.Nothing, {
        userid: userId,
        external_userid: externalUserId,
        add_tag: add,
        remove_tag: remove,
      })
    },

    member: (userId) => get('user/get', reply.MemberReply, { userid: userId }),
    async membersOf(departmentId) {
      return (await get('user/simplelist', reply.MembersReply, { department_id: departmentId })).userlist
    },
    memberIds: () =>
      readPages('user/list_id', reply.MemberIdsReply, { limit: 10_000 }, (page) => ({
        items: page.dept_user,
        next: page.next_cursor,
      })),
    async departments() {
      return (await get('department/list', reply.DepartmentsReply)).department
    },

    async addMassMessage({ sender, externalUserIds, text, attachments }) {
      const { msgid, fail_list } = await act('externalcontact/add_msg_template', reply.AddMsgTemplateReply, {
        chat_type: 'single',
        sender,
        external_userid: externalUserIds,
        text: { content: text },
        attachments,
      })
      return { msgId: msgid, failed: fail_list }
    },
    massMessages: (from, to) =>
      readPages(
        'externalcontact/get_groupmsg_list_v2',
        reply.GroupMessagesReply,
        {
          chat_type: 'single',
          start_time: Math.floor(from.getTime() / 1000),
          end_time: Math.ceil(to.getTime() / 1000),
          filter_type: 0,
          limit: 100,
        },
        (page) => ({ items: page.group_msg_list, next: page.next_cursor }),
      ),
    massMessageTasks: (msgId) =>
      readPages(
        'externalcontact/get_groupmsg_task',
        reply.GroupMessageTasksReply,
        { msgid: msgId, limit: 1_000 },
        (page) => ({ items: page.task_list, next: page.next_cursor }),
      ),
    massMessageSends: (msgId, userId) =>
      readPages(
        'externalcontact/get_groupmsg_send_result',
        reply.GroupMessageSendsReply,
        { msgid: msgId, userid: userId, limit: 1_000 },
        (page) => ({ items: page.send_list, next: page.next_cursor }),
      ),
    async remindMassMessage(msgId) {
      await act('externalcontact/remind_groupmsg_send', reply.Nothing, { msgid: msgId })
    },
    async cancelMassMessage(msgId) {
      // Cancelling again changes nothing, so a lost answer is simply asked for once more.
      await unless(['already_done'], read('externalcontact/cancel_groupmsg_send', reply.Nothing, { msgid: msgId }))
    },
    async sendWelcome(welcomeCode, text, attachments = []) {
      await act('externalcontact/send_welcome_msg', reply.Nothing, {
        welcome_code: welcomeCode,
        text: { content: text },
        attachments,
      })
    },

    async sendMessage({ toUsers, content, duplicateCheckSeconds }) {
      const { msgid, response_code, invaliduser } = await act('message/send', reply.MessageReply, {
        touser: toUsers.join('|'),
        agentid: agentId,
        ...content,
        ...(duplicateCheckSeconds !== undefined && {
          enable_duplicate_check: 1,
          duplicate_check_interval: duplicateCheckSeconds,
        }),
      })
      return {
        invalid: invaliduser,
        ...(msgid !== undefined && { msgId: msgid }),
        ...(response_code !== undefined && { responseCode: response_code }),
      }
    },
    async updateCardButton(userId, responseCode, text) {
      await act('message/update_template_card', reply.CardUpdateReply, {
        userids: [userId],
        agentid: agentId,
        response_code: responseCode,
        button: { replace_name: text },
      })
    },
    async recallMessage(msgId) {
      await read('message/recall', reply.Nothing, { msgid: msgId }) // twice is once
    },
    async uploadMedia(type, fileName, bytes) {
      const form = new FormData()
      form.append('media', new Blob([bytes]), fileName)
      const uploaded = await transport.call({
        api: 'media/upload',
        query: { type },
        body: form,
        reply: reply.MediaReply,
        repeat: 'harmless', // a second upload is a second id that nobody uses
      })
      return uploaded.media_id
    },
  }
}

/**
 * Every customer the app may see, with all her followers, in batches of at most 500, in order of first appearance. A
 * customer of two members comes in two rows that may be pages apart, so nothing is given out before all rows are read:
 * memory grows with the number of customers, by about 1 kB each.
 */
export async function* iterateContacts(
  client: Pick<WecomClient, 'followUsers' | 'contactRows'>,
): AsyncIterable<reply.ContactDetail[]> {
  const contacts = new Map<string, reply.ContactDetail>()
  for (const userIds of chunk(await client.followUsers(), CONTACT_BATCH.members)) {
    for await (const rows of client.contactRows(userIds)) {
      for (const { external_contact, follow_info } of rows) {
        const known = contacts.get(external_contact.external_userid)
        if (known === undefined) {
          contacts.set(external_contact.external_userid, { external_contact, follow_user: [follow_info] })
        } else if (known.follow_user.every((follow) => follow.userid !== follow_info.userid)) {
          known.follow_user.push(follow_info)
        }
      }
    }
  }
  yield* chunk([...contacts.values()], 500)
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))
}

/** `undefined` in place of a refusal that is an expected answer. */
async function unless<T>(expected: readonly WecomError['meaning'][], answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (err) {
    if (err instanceof WecomError && expected.includes(err.meaning)) return undefined
    throw err
  }
}
