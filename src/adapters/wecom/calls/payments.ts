import { z } from 'zod'
import type { Calls } from './calls.js'
import { Cursor, List, Nothing, Text, toUnixSeconds, UnixSeconds } from './wire.js'

const Bill = z.object({
  transaction_id: z.string().min(1),
  /** 1 paid, 3 paid and refunded. */
  trade_state: z.number(),
  pay_time: UnixSeconds,
  out_trade_no: Text,
  external_userid: Text,
  total_fee: z.number(),
  payee_userid: z.string().min(1),
  /** 0 in a chat, 1 by a code, 2 on a page, 3 by an in-chat coupon. */
  payment_type: z.number().optional(),
  mch_id: Text,
  remark: Text,
  commodity_list: List(z.object({ description: Text, amount: z.coerce.number().optional() })),
  total_refund_fee: z.number().default(0),
  refund_list: List(
    z.object({ out_refund_no: Text, refund_userid: Text, refund_reqtime: UnixSeconds.optional(), refund_fee: z.number() }),
  ),
}) // prettier-ignore
const BillsReply = z.object({ bill_list: List(Bill), next_cursor: Cursor })

const Scope = z.object({ user: List(z.string()), partyid: List(z.number()), tagid: List(z.number()) })
const MerchantReply = z.object({
  /** 0 bound. */
  bind_status: z.number().optional(),
  mch_id: z.string().min(1),
  merchant_name: Text,
  allow_use_scope: Scope.nullish(),
})

/** Amounts are in fen. */
export type Bill = {
  transactionId: string
  paidAt: Date
  amountMinor: number
  refundedMinor: number
  userId: string
  externalUserId?: string
  outTradeNo?: string
  merchantId?: string
  remark?: string
  goods: { description: string; count: number }[]
}
export type Merchant = {
  merchantId: string
  name?: string
  scope: { userIds: string[]; departmentIds: number[]; tagIds: number[] }
}

/** Payments that members took from customers (对外收款). Wants a client made with the secret of that app. */
export function paymentCalls(calls: Calls) {
  return {
    /**
     * Paid in [from, to], at most a month. A page may come short or empty before the last: what the app does not see is
     * left out of it (page 93667). Names, phones and addresses of payers are not read.
     */
    bills: (from: Date, to: Date, userId?: string): AsyncIterable<Bill[]> =>
      calls.pages(
        'externalpay/get_bill_list',
        BillsReply,
        { begin_time: toUnixSeconds(from), end_time: toUnixSeconds(to), payee_userid: userId, limit: 1_000 },
        (page) => ({ items: page.bill_list.map(toBill), next: page.next_cursor }),
      ),
    /** @param merchantId - of WeChat Pay (page 93666) */
    async merchant(merchantId: string): Promise<Merchant> {
      const reply = await calls.read('externalpay/getmerchant', MerchantReply, { mch_id: merchantId })
      const { user = [], partyid = [], tagid = [] } = reply.allow_use_scope ?? {}
      return {
        merchantId: reply.mch_id,
        ...(reply.merchant_name !== undefined && { name: reply.merchant_name }),
        scope: { userIds: user, departmentIds: partyid, tagIds: tagid },
      }
    },
    /** Again changes its name (page 93665). */
    async addMerchant(merchantId: string, name: string): Promise<void> {
      await calls.put('externalpay/addmerchant', Nothing, { mch_id: merchantId, merchant_name: name })
    },
    async removeMerchant(merchantId: string): Promise<void> {
      await calls.act('externalpay/delmerchant', Nothing, { mch_id: merchantId })
    },
    /** Who may take payments with it; replaces what was. */
    async setMerchantScope(merchantId: string, scope: Merchant['scope']): Promise<void> {
      await calls.put('externalpay/set_mch_use_scope', Nothing, {
        mch_id: merchantId,
        allow_use_scope: { user: scope.userIds, partyid: scope.departmentIds, tagid: scope.tagIds },
      })
    },
  }
}

function toBill(bill: z.infer<typeof Bill>): Bill {
  return {
    transactionId: bill.transaction_id,
    paidAt: new Date(bill.pay_time * 1000),
    amountMinor: bill.total_fee,
    refundedMinor: bill.total_refund_fee,
    userId: bill.payee_userid,
    ...(bill.external_userid !== undefined && { externalUserId: bill.external_userid }),
    ...(bill.out_trade_no !== undefined && { outTradeNo: bill.out_trade_no }),
    ...(bill.mch_id !== undefined && { merchantId: bill.mch_id }),
    ...(bill.remark !== undefined && { remark: bill.remark }),
    goods: bill.commodity_list.map(({ description, amount }) => ({
      description: description ?? '',
      count: amount ?? 1,
    })),
  }
}
