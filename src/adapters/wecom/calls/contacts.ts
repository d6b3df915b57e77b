import { z } from 'zod'
import type { Calls } from './calls.js'
import { Cursor, List, Nothing, Text, UnixSeconds } from './wire.js'

const FollowUsersReply = z.object({ follow_user: List(z.string()) })
const ContactIdsReply = z.object({ external_userid: List(z.string()) })

const ExternalContact = z.object({
  external_userid: z.string().min(1).max(64),
  name: Text,
  avatar: Text,
  /** 1 WeChat user, 2 WeCom user. */
  type: z.number().optional(),
  /** 0 unknown, 1 male, 2 female. */
  gender: z.number().optional(),
  unionid: Text,
  corp_name: Text,
})

/**
 * `tags` come with the contact's details (`type` 1 corp tag, 2 the member's own, without an id, 3 of a rule group),
 * `tag_id` with batches, the member's own left out.
 */
const FollowUser = z.object({
  userid: z.string().min(1).max(64),
  remark: Text,
  description: Text,
  /** Unix seconds at which this member added the customer. */
  createtime: UnixSeconds.nonnegative(),
  remark_mobiles: List(z.string()),
  oper_userid: Text,
  add_way: z.number().optional(),
  state: Text,
  tags: List(z.object({ group_name: Text, tag_name: Text, tag_id: Text, type: z.number() })),
  tag_id: List(z.string()),
})

/** A customer and the members who follow her, as `externalcontact/get` tells it. */
export const ContactDetail = z.object({ external_contact: ExternalContact, follow_user: List(FollowUser) })
export type ContactDetail = z.infer<typeof ContactDetail>
const ContactReply = ContactDetail.extend({ next_cursor: Cursor })

/** One customer as one member knows her. */
export const ContactRow = z.object({ external_contact: ExternalContact, follow_info: FollowUser })
export type ContactRow = z.infer<typeof ContactRow>
const ContactBatchReply = z.object({ external_contact_list: List(ContactRow), next_cursor: Cursor })

const Served = z.object({
  is_customer: z.boolean(),
  /** Lives 4 hours. */
  tmp_openid: z.string().min(1),
  /** Of customers. */
  external_userid: Text,
  /** Masked; of those who are no customers. */
  name: Text,
  /** Known through this member's friendship, */
  follow_userid: Text,
  /** or through this group. */
  chat_id: Text,
  chat_name: Text,
  add_time: UnixSeconds,
})
export type Served = z.infer<typeof Served>
const ServedReply = z.object({ info_list: List(Served), next_cursor: Cursor })

export type RemarkFields = { remark?: string; description?: string; company?: string; mobiles?: readonly string[] }

/** Members and customers in one page of `rows`. @see document/path/92994 (read 2026-08) */
const BATCH = { members: 100, limit: 100 }

/** Customers (客户管理). */
export function contactCalls(calls: Calls) {
  return {
    /** Members with the customer-contact feature, as far as the app may see them (page 92571). */
    async followUsers(): Promise<string[]> {
      return (await calls.get('externalcontact/get_follow_user_list', FollowUsersReply)).follow_user
    },
    /** External userids of one member's customers; empty when she has none (page 92113). */
    async list(userId: string): Promise<string[]> {
      const asked = calls.get('externalcontact/list', ContactIdsReply, { userid: userId })
      return (await calls.unless(['already_done'], asked))?.external_userid ?? []
    },
    /**
     * All followers included; `undefined` when nobody we may see has this contact (any more, or yet: half-added) (page
     * 92114).
     */
    async get(externalUserId: string): Promise<ContactDetail | undefined> {
      const fetchPage = (cursor: string | undefined) =>
        calls.get('externalcontact/get', ContactReply, {
          external_userid: externalUserId,
          ...(cursor !== undefined && { cursor }),
        })
      const first = await calls.unless(['give_up_recipient'], fetchPage(undefined))
      if (first === undefined) return undefined
      const { external_contact, follow_user, next_cursor } = first
      for (let cursor = next_cursor; cursor !== undefined;) {
        const page = await fetchPage(cursor)
        follow_user.push(...page.follow_user)
        cursor = page.next_cursor
      }
      return { external_contact, follow_user }
    },
    /** One row per (member, customer), in pages of at most 100 (page 92994). @param userIds - at most 100 */
    rows: (userIds: readonly string[]): AsyncIterable<ContactRow[]> =>
      calls.pages(
        'externalcontact/batch/get_by_user',
        ContactBatchReply,
        { userid_list: userIds, limit: BATCH.limit },
        (page) => ({ items: page.external_contact_list, next: page.next_cursor }),
        { meaningEmpty: ['already_done'] },
      ),
    /**
     * One page of `rows`, for whoever keeps the cursor; members without customers have an empty one (page 92994).
     *
     * @throws {WecomError} 50100 when the cursor has expired
     */
    async page(userIds: readonly string[], cursor?: string): Promise<{ rows: ContactRow[]; next?: string }> {
      const body = { userid_list: userIds, limit: BATCH.limit, ...(cursor !== undefined && { cursor }) }
      const asked = calls.read('externalcontact/batch/get_by_user', ContactBatchReply, body)
      const page = await calls.unless(['already_done'], asked)
      const next = page?.next_cursor
      return { rows: page?.external_contact_list ?? [], ...(next !== undefined && { next }) }
    },
    /** Everybody the company ever served, customer or not, in pages of at most 1,000; cursors expire (page 99434). */
    served: (): AsyncIterable<Served[]> =>
      calls.pages('externalcontact/contact_list', ServedReply, { limit: 1_000 }, (page) => ({
        items: page.info_list,
        next: page.next_cursor,
      })),
    /** At least one of the fields. `mobiles` replaces the whole list (page 92115). */
    async remark(
      userId: string,
      externalUserId: string,
      { remark, description, company, mobiles }: RemarkFields,
    ): Promise<void> {
      await calls.put('externalcontact/remark', Nothing, {
        userid: userId,
        external_userid: externalUserId,
        remark,
        description,
        remark_company: company,
        // An empty list would change nothing: one empty number clears it.
        remark_mobiles: mobiles?.length === 0 ? [''] : mobiles,
      })
    },
  }
}
