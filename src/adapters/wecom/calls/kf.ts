import { z } from 'zod'
import type { Calls } from './calls.js'
import { Bytes, Characters, checkRequest, MediaId, Url } from './content.js'
import { Cursor, List, Nothing, Text, UnixSeconds } from './wire.js'

const Media = z.object({ media_id: MediaId })
const MenuItem = z.discriminatedUnion('type', [
  z.object({ type: z.literal('click'), click: z.object({ id: Bytes(128).optional(), content: Bytes(128) }) }),
  z.object({ type: z.literal('view'), view: z.object({ url: Url, content: Bytes(1_024) }) }),
  z.object({
    type: z.literal('miniprogram'),
    miniprogram: z.object({ appid: z.string().min(1), pagepath: z.string().min(1), content: Bytes(1_024) }),
  }),
  z.object({ type: z.literal('text'), text: z.object({ content: Bytes(256), no_newline: z.int().optional() }) }),
])
const text = z.object({ msgtype: z.literal('text'), text: z.object({ content: Bytes(2_048) }) })
const msgmenu = z.object({
  msgtype: z.literal('msgmenu'),
  msgmenu: z.object({
    head_content: Bytes(1_024).optional(),
    list: z.array(MenuItem).max(10).optional(),
    tail_content: Bytes(1_024).optional(),
  }),
})
/** Page 94677. */
const Content = z.discriminatedUnion('msgtype', [
  text,
  msgmenu,
  z.object({ msgtype: z.literal('image'), image: Media }),
  z.object({ msgtype: z.literal('voice'), voice: Media }),
  z.object({ msgtype: z.literal('video'), video: Media }),
  z.object({ msgtype: z.literal('file'), file: Media }),
  z.object({
    msgtype: z.literal('link'),
    link: z.object({ title: Bytes(128), desc: Bytes(512).optional(), url: Url, thumb_media_id: MediaId }),
  }),
  z.object({
    msgtype: z.literal('miniprogram'),
    miniprogram: z.object({
      appid: z.string().min(1),
      title: Bytes(64).optional(),
      thumb_media_id: MediaId,
      pagepath: z.string().min(1),
    }),
  }),
  z.object({
    msgtype: z.literal('location'),
    location: z.object({
      name: z.string().optional(),
      address: z.string().optional(),
      latitude: z.number().min(-90).max(90),
      longitude: z.number().min(-180).max(180),
    }),
  }),
  z.object({ msgtype: z.literal('business_card'), business_card: z.object({ userid: z.string().min(1) }) }),
  z.object({ msgtype: z.literal('ca_link'), ca_link: z.object({ link_url: Url }) }),
])
export type KfContent = z.input<typeof Content>
/** Page 95122: only these answer an event. */
const EventContent = z.discriminatedUnion('msgtype', [text, msgmenu])
export type KfEventContent = z.input<typeof EventContent>
/** Unique within the account; at most 32 of letters, digits, `_` and `-`. */
const MsgId = z
  .string()
  .regex(/^[0-9A-Za-z_-]{1,32}$/, '1–32 of 0–9 A–Z a–z _ -')
  .optional()

const Account = z.object({ name: Characters(16), mediaId: MediaId })
const Servicers = z
  .object({
    userIds: z.array(z.string()).max(100).readonly().default([]),
    departmentIds: z.array(z.int()).max(20).readonly().default([]),
  })
  .refine((s) => s.userIds.length + s.departmentIds.length > 0, 'needs members or departments')
export type KfServicers = z.input<typeof Servicers>

const AddedReply = z.object({ open_kfid: z.string().min(1) })
const AccountsReply = z.object({
  account_list: List(
    z.object({
      open_kfid: z.string().min(1),
      name: z.string(),
      avatar: Text,
      /** Whether this app may manage it. */
      manage_privilege: z.boolean().optional(),
    }),
  ),
})
const UrlReply = z.object({ url: z.string().min(1) })
const ChangedReply = z.object({
  result_list: List(
    z.object({ userid: Text, department_id: z.number().optional(), errcode: z.number().default(0), errmsg: Text }),
  ),
})
const ServicersReply = z.object({
  servicer_list: List(
    z.object({ userid: Text, /** 0 receives, 1 does not. */ status: z.number().optional(), department_id: z.number().optional() }),
  ),
}) // prettier-ignore
const StateReply = z.object({ service_state: z.number(), servicer_userid: Text })
const ChangedStateReply = z.object({ msg_code: Text })
const SentReply = z.object({ msgid: z.string().min(1) })
const Item = z.looseObject({
  msgid: z.string().min(1),
  open_kfid: Text,
  external_userid: Text,
  send_time: UnixSeconds,
  /** 3 the customer, 4 the system (events), 5 a servicer. */
  origin: z.number(),
  servicer_userid: Text,
  msgtype: z.string(),
  text: z.looseObject({ content: z.string(), menu_id: Text }).optional(),
  event: z
    .looseObject({
      event_type: z.string(),
      open_kfid: Text,
      external_userid: Text,
      scene: Text,
      scene_param: Text,
      /** Lets one message answer, within 20 s. */
      welcome_code: Text,
      msg_code: Text,
      fail_msgid: Text,
      fail_type: z.number().optional(),
    })
    .optional(),
})
/** Kinds that are not spelt out keep their body under the name of `msgtype`. */
export type KfItem = z.infer<typeof Item>
const SyncReply = z.object({ next_cursor: Cursor, has_more: z.number().default(0), msg_list: List(Item) })
const Customer = z.object({
  external_userid: z.string().min(1),
  nickname: Text,
  avatar: Text,
  gender: z.number().optional(),
  unionid: Text,
  enter_session_context: z.looseObject({ scene: Text, scene_param: Text }).nullish(),
})
export type KfCustomer = z.infer<typeof Customer>
const CustomersReply = z.object({ customer_list: List(Customer), invalid_external_userid: List(z.string()) })

const STATES = ['untouched', 'bot', 'queue', 'human', 'ended'] as const
/** `untouched` came in and waits, `queue` waits for a human, `human` is served by one. */
export type KfState = (typeof STATES)[number]
/** Who could not be added or removed, with the platform's code. */
export type KfServicerProblem = { userId?: string; departmentId?: number; errcode: number }

const MAX_CUSTOMERS = 100
const ACCOUNTS_PER_PAGE = 100

/**
 * WeChat customer service (微信客服): customers write to an account without adding anybody. What they write is fetched by
 * `sync` after a callback `kf_msg_or_event`.
 */
export function kfCalls(calls: Calls) {
  const changeServicers = async (api: string, openKfId: string, servicers: KfServicers): Promise<KfServicerProblem[]> => {
    const { userIds, departmentIds } = checkRequest(Servicers, servicers, 'Servicers')
    const body = { open_kfid: openKfId, userid_list: userIds, department_id_list: departmentIds }
    const { result_list } = await calls.put(api, ChangedReply, body)
    return result_list
      .filter((result) => result.errcode !== 0)
      .map(({ userid, department_id, errcode }) => ({
        ...(userid !== undefined && { userId: userid }),
        ...(department_id !== undefined && { departmentId: department_id }),
        errcode,
      }))
  } // prettier-ignore
  return {
    /** @param mediaId - of its picture @returns the account's id (page 94662) */
    async addAccount(name: string, mediaId: string): Promise<string> {
      const account = checkRequest(Account, { name, mediaId }, 'Customer-service account')
      const body = { name: account.name, media_id: account.mediaId }
      return (await calls.act('kf/account/add', AddedReply, body)).open_kfid
    },
    async removeAccount(openKfId: string): Promise<void> {
      await calls.unless(['already_done'], calls.put('kf/account/del', Nothing, { open_kfid: openKfId }))
    },
    async updateAccount(openKfId: string, change: { name?: string; mediaId?: string }): Promise<void> {
      const { name, mediaId } = checkRequest(Account.partial(), change, 'Customer-service account')
      await calls.put('kf/account/update', Nothing, { open_kfid: openKfId, name, media_id: mediaId })
    },
    async accounts(): Promise<{ openKfId: string; name: string }[]> {
      const all: { openKfId: string; name: string }[] = []
      for (let offset = 0; ; offset += ACCOUNTS_PER_PAGE) {
        const body = { offset, limit: ACCOUNTS_PER_PAGE }
        const { account_list: page } = await calls.read('kf/account/list', AccountsReply, body)
        all.push(...page.map((account) => ({ openKfId: account.open_kfid, name: account.name })))
        if (page.length < ACCOUNTS_PER_PAGE) return all
      }
    },
    /** An address that opens the chat. @param scene - at most 32 letters, digits, `_-`; comes back in the enter event (page 94665) */
    async contactUrl(openKfId: string, scene?: string): Promise<string> {
      return (await calls.read('kf/add_contact_way', UrlReply, { open_kfid: openKfId, scene })).url
    },

    /** @returns those that could not be added (page 94646) */
    addServicers: (openKfId: string, servicers: KfServicers) => changeServicers('kf/servicer/add', openKfId, servicers),
    removeServicers: (openKfId: string, servicers: KfServicers) =>
      changeServicers('kf/servicer/del', openKfId, servicers),
    async servicers(openKfId: string): Promise<{ userIds: string[]; departmentIds: number[] }> {
      const { servicer_list } = await calls.get('kf/servicer/list', ServicersReply, { open_kfid: openKfId })
      return {
        userIds: servicer_list.flatMap((s) => s.userid ?? []),
        departmentIds: servicer_list.flatMap((s) => s.department_id ?? []),
      }
    },

    /** Of one customer's session (page 94669). */
    async state(openKfId: string, externalUserId: string): Promise<{ state: KfState; servicerId?: string }> {
      const body = { open_kfid: openKfId, external_userid: externalUserId }
      const { service_state, servicer_userid } = await calls.read('kf/service_state/get', StateReply, body)
      const state = STATES[service_state] ?? 'ended'
      return { state, ...(servicer_userid !== undefined && { servicerId: servicer_userid }) }
    },
    /**
     * @param servicerId - required for `human`
     * @returns a code with which one message answers the change (page 94669)
     * @throws {WecomError} 95016 when that change is not allowed, 95014 when she is no servicer
     */
    async changeState(
      openKfId: string,
      externalUserId: string,
      state: KfState,
      servicerId?: string,
    ): Promise<string | undefined> {
      const change = { service_state: STATES.indexOf(state), servicer_userid: servicerId }
      const body = { open_kfid: openKfId, external_userid: externalUserId, ...change }
      return (await calls.act('kf/service_state/trans', ChangedStateReply, body)).msg_code
    },

    /**
     * Within 48 h after the customer's last message, and at most 5 until the customer writes again; only to sessions that
     * are untouched or with a bot (page 94677).
     *
     * @param msgId - settles a lost answer: used again, it is refused
     * @throws {WecomError} 95001 five were sent, 95002 too late, 95018 wrong state
     */
    async send(openKfId: string, externalUserId: string, content: KfContent, msgId?: string): Promise<string> {
      const checked = checkRequest(Content, content, 'Customer-service message')
      const msgid = checkRequest(MsgId, msgId, 'Customer-service message id')
      const body = { touser: externalUserId, open_kfid: openKfId, msgid, ...checked }
      return (await calls.act('kf/send_msg', SentReply, body)).msgid
    },
    /** Answers an event once; a welcome within 20 s (page 95122). @param code - `welcome_code` or `msg_code` */
    async sendOnEvent(code: string, content: KfEventContent, msgId?: string): Promise<string> {
      const checked = checkRequest(EventContent, content, 'Customer-service message')
      const msgid = checkRequest(MsgId, msgId, 'Customer-service message id')
      return (await calls.act('kf/send_msg_on_event', SentReply, { code, msgid, ...checked }, { priority: 'welcome' })).msgid
    }, // prettier-ignore
    /**
     * What happened since `cursor`, of the last 3 days, page by page: keep the cursor of a page when it has been dealt with.
     * Without a token from a callback (good for 10 minutes) the platform allows few calls (page 94670).
     */
    async *sync(
      openKfId: string,
      cursor?: string,
      token?: string,
    ): AsyncIterable<{ items: KfItem[]; cursor?: string }> {
      for (let at = cursor, more = true; more;) {
        const body = { open_kfid: openKfId, cursor: at, token, limit: 1_000 }
        const page = await calls.read('kf/sync_msg', SyncReply, body, { priority: 'callback' })
        at = page.next_cursor ?? at
        more = page.has_more === 1
        yield { items: page.msg_list, ...(at !== undefined && { cursor: at }) }
      }
    },
    /** @param externalUserIds - at most 100 (page 95159) */
    async customers(externalUserIds: readonly string[]): Promise<{ customers: KfCustomer[]; invalid: string[] }> {
      const ids = z.array(z.string()).min(1).max(MAX_CUSTOMERS).readonly()
      const body = { external_userid_list: checkRequest(ids, externalUserIds, 'Customers'), need_enter_session_context: 1 }
      const { customer_list, invalid_external_userid } = await calls.read('kf/customer/batchget', CustomersReply, body)
      return { customers: customer_list, invalid: invalid_external_userid }
    }, // prettier-ignore
  }
}
