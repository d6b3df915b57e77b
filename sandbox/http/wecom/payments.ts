import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { DAY_MS, SECOND_MS } from '../../../src/time.js'
import { openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import { type Call, type Endpoints, memberId, OptionalText, read, Refusal, type Reply } from '../core/endpoint.js'
import { numbered, readPage } from '../core/pages.js'
import { sees } from './visibility.js'

/** Page 93667. */
const MAX_SPAN_MS = 31 * DAY_MS
/** Page 93666: WeChat Pay merchant numbers. */
const MERCHANT_ID = /^\d{8,12}$/

export type Payment = {
  externalUserId: string
  userId: string
  amountFen: number
  mchId: string
  /** 0 in a chat, 1 by a code, 2 on a page (page 93667, payment_type). */
  paymentType: number
  remark: string
  goods: { description: string; amount: number }[]
}
type Bill = Payment & { paidMs: number; transactionId: string; outTradeNo: string }
type Scope = { user: string[]; partyid: number[]; tagid: number[] }
type Merchant = { name: string; scope: Scope }

const PATH = '/cgi-bin/externalpay'
const ScopeBody = z.object({
  user: z.array(z.string()).default([]),
  partyid: z.array(z.int()).default([]),
  tagid: z.array(z.int()).default([]),
})

/** Payments to members outside of shops (对外收款, pages 93665, 93666, 93667). */
export function paymentEndpoints(world: World): Endpoints {
  return {
    [`${PATH}/addmerchant`]: { writes: true, handle: (call) => addmerchant(world, call) },
    [`${PATH}/getmerchant`]: { handle: (call) => getmerchant(world, call) },
    [`${PATH}/delmerchant`]: { writes: true, handle: (call) => delmerchant(world, call) },
    [`${PATH}/set_mch_use_scope`]: { writes: true, handle: (call) => setMchUseScope(world, call) },
    [`${PATH}/get_bill_list`]: { empty: { bill_list: [] }, handle: (call) => getBillList(world, call) },
  }
}

function addmerchant(world: World, { params }: Call): Reply {
  const merchants = openMerchants(world)
  const { mch_id: id, merchant_name: name } = read(
    z.object({ mch_id: OptionalText, merchant_name: OptionalText }),
    params,
  )
  if (id === undefined || !MERCHANT_ID.test(id)) throw new Refusal(40058, 'mch_id invalid. invalid Request Parameter')
  merchants.put(id, { name: name ?? '', scope: merchants.get(id)?.scope ?? { user: [], partyid: [], tagid: [] } })
  return {}
}

function getmerchant(world: World, { params }: Call): Reply {
  const { id, merchant } = merchantOf(world, params)
  return { bind_status: 0, mch_id: id, merchant_name: merchant.name, allow_use_scope: merchant.scope }
}

function delmerchant(world: World, { params }: Call): Reply {
  const merchants = openMerchants(world)
  merchants.delete(merchantOf(world, params).id)
  return {}
}

function setMchUseScope(world: World, { params }: Call): Reply {
  const merchants = openMerchants(world)
  const { id, merchant } = merchantOf(world, params)
  const { allow_use_scope: scope } = read(z.object({ allow_use_scope: ScopeBody }), params)
  merchants.put(id, {
    ...merchant,
    scope: { ...scope, user: scope.user.map((userId) => memberId(world, userId)) },
  })
  return {}
}

function getBillList(world: World, { params, app }: Call): Reply {
  const Body = z.object({ begin_time: z.int(), end_time: z.int(), payee_userid: OptionalText })
  const { begin_time: begin, end_time: end, payee_userid: payee } = read(Body, params)
  if (end < begin || (end - begin) * SECOND_MS > MAX_SPAN_MS)
    throw new Refusal(40058, 'end_time - begin_time out of range. invalid Request Parameter')
  const userId = payee === undefined ? undefined : memberId(world, payee)
  const found = openBills(world)
    .list()
    .map(({ body }) => body)
    .filter((bill) => bill.paidMs >= begin * SECOND_MS && bill.paidMs < (end + 1) * SECOND_MS)
    .filter((bill) => userId === undefined || bill.userId === userId)
  const { rows, next_cursor } = readPage(params, { what: 'bill', fallback: 1_000, max: 1_000 }, numbered(found))
  // What the app does not see is taken out of the page: it may be shorter than asked for, or empty.
  const bills = rows.map(({ item }) => item).filter((bill) => sees(world, app, bill.userId))
  return { next_cursor, bill_list: bills.map(toReply) }
}

function merchantOf(world: World, params: Record<string, unknown>): { id: string; merchant: Merchant } {
  const merchants = openMerchants(world)
  const { mch_id: id } = read(z.object({ mch_id: OptionalText }), params)
  const merchant = id === undefined ? undefined : merchants.get(id)
  if (id === undefined || merchant === undefined) throw new Refusal(40058, 'mch_id invalid. invalid Request Parameter')
  return { id, merchant }
}

/** A customer pays a member; inside a transaction. @returns the transaction's number */
export function pay(world: World, payment: Payment, at: Date): string {
  const bills = openBills(world)
  const id = bills.newId('42', 26)
  const outTradeNo = hashKey(32, world.seed, 'trade', id)
  bills.put(id, { ...payment, paidMs: at.getTime(), transactionId: id, outTradeNo })
  return id
}

const openBills = (world: World) => openObjects<Bill>(world.state, world.seed, 'bill')
const openMerchants = (world: World) => openObjects<Merchant>(world.state, world.seed, 'merchant')

function toReply(bill: Bill): Record<string, unknown> {
  return {
    transaction_id: bill.transactionId,
    bill_type: 0,
    trade_state: 1,
    pay_time: Math.floor(bill.paidMs / SECOND_MS),
    out_trade_no: bill.outTradeNo,
    external_userid: bill.externalUserId,
    total_fee: bill.amountFen,
    payee_userid: bill.userId,
    payment_type: bill.paymentType,
    mch_id: bill.mchId,
    remark: bill.remark,
    commodity_list: bill.goods,
    total_refund_fee: 0,
    refund_list: [],
  }
}
