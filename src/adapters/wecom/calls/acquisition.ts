import { z } from 'zod'
import type { Calls } from './calls.js'
import { Cursor, List, Nothing, Text, toUnixSeconds, UnixSeconds } from './wire.js'

/** Longer markers are cut. @see document/path/97297 (read 2026-08) */
export const CUSTOMER_CHANNEL_MAX_BYTES = 64

const LinkIdsReply = z.object({ link_id_list: List(z.string()), next_cursor: Cursor })
const Link = z.object({
  link_id: Text,
  link_name: z.string(),
  url: z.string(),
  create_time: UnixSeconds,
  skip_verify: z.boolean().optional(),
})
const CreatedReply = z.object({ link: Link.extend({ link_id: z.string().min(1) }) })
const LinkReply = z.object({
  link: Link,
  range: z.object({ user_list: List(z.string()), department_list: List(z.number()) }).optional(),
  priority_option: z.object({ priority_type: z.number(), priority_userid_list: List(z.string()) }).nullish(),
})

const LinkCustomer = z.object({
  external_userid: z.string().min(1),
  userid: z.string().min(1),
  /** 0 has not written yet, 1 has, 2 unknown. */
  chat_status: z.number(),
  /** The link's `customer_channel`. */
  state: Text,
})
export type LinkCustomer = z.infer<typeof LinkCustomer>
const LinkCustomersReply = z.object({ customer_list: List(LinkCustomer), next_cursor: Cursor })

const QuotaReply = z.object({
  total: z.number(),
  balance: z.number(),
  quota_list: List(z.object({ expire_date: UnixSeconds, balance: z.number() })),
})
const LinkStatisticReply = z.object({ click_link_customer_cnt: z.number(), new_customer_cnt: z.number() })
const ChatInfoReply = z.object({
  userid: z.string().min(1),
  external_userid: z.string().min(1),
  chat_info: z.object({ recv_msg_cnt: z.number(), link_id: z.string(), state: Text }),
})
const PermitReply = z.object({ user_list: List(z.string()), department_list: List(z.number()) })

export type AcquisitionLink = {
  /** At most 30 characters. */
  name: string
  /** One of them at least; at most 500 people in all. */
  userIds: readonly string[]
  departmentIds: readonly number[]
  /** Customers are added without the member's consent. Default true. */
  skipVerify?: boolean
  /** Who is preferred: whoever is a friend already, or these. */
  prefer?: 'friends' | readonly string[]
}
export type AcquisitionLinkFound = AcquisitionLink & { linkId: string; url: string; createdAt: Date }

/** Acquisition links (获客助手): paid for by customer; an app sees the links it made. */
export function acquisitionCalls(calls: Calls) {
  const path = 'externalcontact/customer_acquisition'
  return {
    /** Ids in pages of at most 100 (page 97297). */
    list: (): AsyncIterable<string[]> =>
      calls.pages(`${path}/list_link`, LinkIdsReply, { limit: 100 }, (page) => ({
        items: page.link_id_list,
        next: page.next_cursor,
      })),
    async get(linkId: string): Promise<AcquisitionLinkFound> {
      const { link, range, priority_option: option } = await calls.read(`${path}/get`, LinkReply, { link_id: linkId })
      return {
        linkId,
        url: link.url,
        createdAt: new Date(link.create_time * 1000),
        name: link.link_name,
        userIds: range?.user_list ?? [],
        departmentIds: range?.department_list ?? [],
        ...(link.skip_verify !== undefined && { skipVerify: link.skip_verify }),
        ...(option?.priority_type === 1 && { prefer: 'friends' as const }),
        ...(option?.priority_type === 2 && { prefer: option.priority_userid_list }),
      }
    },
    async create(link: AcquisitionLink): Promise<{ linkId: string; url: string }> {
      const { link: made } = await calls.act(`${path}/create_link`, CreatedReply, toWire(link))
      return { linkId: made.link_id, url: made.url }
    },
    /** Users and departments, where given, replace the old ones; so does the preference. */
    async update(linkId: string, link: AcquisitionLink): Promise<void> {
      await calls.put(`${path}/update_link`, Nothing, { link_id: linkId, ...toWire(link) })
    },
    async delete(linkId: string): Promise<void> {
      await calls.act(`${path}/delete_link`, Nothing, { link_id: linkId })
    },
    /** Everybody who came by a link, in pages of at most 1,000 (page 97298). */
    customers: (linkId: string): AsyncIterable<LinkCustomer[]> =>
      calls.pages(`${path}/customer`, LinkCustomersReply, { link_id: linkId, limit: 1_000 }, (page) => ({
        items: page.customer_list,
        next: page.next_cursor,
      })),
    /** Customers that may still be added, and when the rest expires (page 97375). */
    async quota(): Promise<{ total: number; balance: number; expiring: { at: Date; balance: number }[] }> {
      const { total, balance, quota_list } = await calls.get('externalcontact/customer_acquisition_quota', QuotaReply)
      const expiring = quota_list.map((part) => ({ at: new Date(part.expire_date * 1000), balance: part.balance }))
      return { total, balance, expiring }
    },
    /** Whole days in Shanghai, at most 30 of the last 180 (page 97375). */
    async statistic(linkId: string, from: Date, to: Date): Promise<{ clicks: number; newCustomers: number }> {
      const reply = await calls.read(`${path}/statistic`, LinkStatisticReply, {
        link_id: linkId,
        start_time: toUnixSeconds(from),
        end_time: toUnixSeconds(to),
      })
      return { clicks: reply.click_link_customer_cnt, newCustomers: reply.new_customer_cnt }
    },
    /** Whose message the event `message_from_customer` told of. @param chatKey - lives 30 minutes */
    async chat(chatKey: string): Promise<{
      userId: string
      externalUserId: string
      messages: number
      linkId: string
      state: string | undefined
    }> {
      const reply = await calls.read(`${path}/get_chat_info`, ChatInfoReply, { chat_key: chatKey })
      const { recv_msg_cnt: messages, link_id: linkId, state } = reply.chat_info
      return { userId: reply.userid, externalUserId: reply.external_userid, messages, linkId, state }
    },
    /** Who may use the acquisition assistant (page 101146). */
    async permit(): Promise<{ userIds: string[]; departmentIds: number[] }> {
      const reply = await calls.get('externalcontact/customer_acquisition_app/get_permit', PermitReply)
      return { userIds: reply.user_list, departmentIds: reply.department_list }
    },
  }
}

/** The link with a channel marker, which comes back as `state` of the contact. @param channel - at most 64 bytes */
export function withChannel(url: string, channel: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}customer_channel=${encodeURIComponent(channel)}`
}

/** Opens the link from a browser outside WeChat. */
export function deepLink(url: string): string {
  return `weixin://biz/ww/profile/${encodeURIComponent(url)}`
}

function toWire({ name, userIds, departmentIds, skipVerify, prefer }: AcquisitionLink): Record<string, unknown> {
  return {
    link_name: name,
    range: { user_list: userIds, department_list: departmentIds },
    ...(skipVerify !== undefined && { skip_verify: skipVerify }),
    ...(prefer === 'friends' && { priority_option: { priority_type: 1 } }),
    ...(typeof prefer === 'object' && { priority_option: { priority_type: 2, priority_userid_list: prefer } }),
  }
}
