import { z } from 'zod'
import type { Calls } from './calls.js'
import { Cursor, List, Text, toDate, UnixSeconds } from './wire.js'

/** In one call. @see document/path/92125 and 92127 (read 2026-08) */
export const TRANSFER_BATCH = { customers: 100, groups: 100 } as const
/** Transfers of one customer: 2 in 90 days; groups of one owner: 300 a day. */
export const TRANSFER_LIMITS = { perCustomerIn90Days: 2, groupsPerOwnerAndDay: 300 } as const

const TransferReply = z.object({
  customer: List(z.object({ external_userid: z.string().min(1), errcode: z.number().default(0) })),
})
const GroupTransferReply = z.object({
  failed_chat_list: List(z.object({ chat_id: z.string().min(1), errcode: z.number(), errmsg: Text })),
})

const STATES = { 1: 'done', 2: 'waiting', 3: 'refused', 4: 'takeover_full', 5: 'no_record' } as const
const TransferRow = z.object({
  external_userid: z.string().min(1),
  status: z.number(),
  takeover_time: UnixSeconds.optional(),
})
const TransferResultReply = z.object({ customer: List(TransferRow), next_cursor: Cursor })

const Unassigned = z.object({
  handover_userid: z.string().min(1),
  external_userid: z.string().min(1),
  /** Unix seconds at which she left. */
  dimission_time: UnixSeconds.optional(),
})
export type Unassigned = z.infer<typeof Unassigned>
const UnassignedReply = z.object({ info: List(Unassigned), is_last: z.boolean().default(false), next_cursor: Cursor })

/** Whether the old owner still works here (`onjob`) or has left. */
export type HandoverKind = 'onjob' | 'resigned'

export type Handover = {
  kind: HandoverKind
  from: string
  to: string
  /** At most 100. */
  externalUserIds: readonly string[]
  /** Shown to the customer, on-job only; at most 200 characters. Default: the platform's text. */
  message?: string
}
export type TransferResult = {
  externalUserId: string
  state: (typeof STATES)[keyof typeof STATES]
  /** When it happened, or will while `waiting`. */
  at?: Date
}

/** Customers and groups change hands (客户继承). */
export function transferCalls(calls: Calls) {
  return {
    /**
     * Asks for customers to be handed over; it happens 24 hours later unless a customer refuses, and `results` tell
     * (pages 92125, 94081).
     *
     * @returns the customers who were refused, with the reason: 40096 not a customer, 40099 limit of the new owner, 40100 and
     *   40129 already under way, 40128 twice in 90 days, 40131 not hers
     */
    async customers({
      kind,
      from,
      to,
      externalUserIds,
      message,
    }: Handover): Promise<{ externalUserId: string; errcode: number }[]> {
      const api = kind === 'onjob' ? 'externalcontact/transfer_customer' : 'externalcontact/resigned/transfer_customer'
      const { customer } = await calls.act(api, TransferReply, {
        handover_userid: from,
        takeover_userid: to,
        external_userid: externalUserIds,
        ...(kind === 'onjob' && message !== undefined && { transfer_success_msg: message }),
      })
      return customer
        .filter(({ errcode }) => errcode !== 0)
        .map(({ external_userid, errcode }) => ({ externalUserId: external_userid, errcode }))
    },
    /** Pages of at most 1,000 (pages 94088, 94082). */
    results: (kind: HandoverKind, from: string, to: string): AsyncIterable<TransferResult[]> =>
      calls.pages(
        kind === 'onjob' ? 'externalcontact/transfer_result' : 'externalcontact/resigned/transfer_result',
        TransferResultReply,
        { handover_userid: from, takeover_userid: to },
        (page) => ({ items: page.customer.map(toResult), next: page.next_cursor }),
      ),
    /** Customers of members who have left, who wait for a new owner, by the time of leaving (page 92124). */
    unassigned: (): AsyncIterable<Unassigned[]> =>
      calls.pages('externalcontact/get_unassigned_list', UnassignedReply, { page_size: 1_000 }, (page) => ({
        items: page.info,
        next: page.is_last ? undefined : page.next_cursor,
      })),
    /**
     * Hands groups over, at once (pages 95703, 92127).
     *
     * @param chatIds - at most 100, and 300 a day of one owner
     * @returns the groups that were refused: 90500 the owner has not left, 90502 has left, 90504 owns it already, 90507 under
     *   way, 90508 inherited already
     */
    async groups(
      kind: HandoverKind,
      chatIds: readonly string[],
      to: string,
    ): Promise<{ chatId: string; errcode: number }[]> {
      const api = `externalcontact/groupchat/${kind === 'onjob' ? 'onjob_transfer' : 'transfer'}`
      const reply = await calls.act(api, GroupTransferReply, { chat_id_list: chatIds, new_owner: to })
      return reply.failed_chat_list.map(({ chat_id, errcode }) => ({ chatId: chat_id, errcode }))
    },
  }
}

function toResult({ external_userid, status, takeover_time }: z.infer<typeof TransferRow>): TransferResult {
  const at = toDate(takeover_time)
  const state = status in STATES ? STATES[status as keyof typeof STATES] : 'no_record'
  return { externalUserId: external_userid, state, ...(at !== undefined && { at }) }
}
