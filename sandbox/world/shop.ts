import { hashKey } from '../../src/random.js'
import type { Core } from './core.js'
import { messageIdOf } from './messages.js'

export type Purchase = {
  /** For `after`: rises with time. */
  seq: number
  orderNo: string
  at: Date
  externalUserId: string
  unionId?: string
  /** The member whose customer he is. */
  userId?: string
  /** In the minor unit of the brand's currency. */
  amountMinor: number
  /** The message that made him buy. Without it he would not have: the truth that an app's own attribution can be held to. */
  messageId?: string
}

export type Click = {
  seq: number
  at: Date
  messageId: string
  msgid: string
  userId: string
  externalUserId: string
  /** As it was sent. */
  url: string
}

type Source = { msgid: string | null; sender: string | null; external_user_id: string }

/** What customers buy and click, for an app under test to import; no platform tells of it. */
export class Shop {
  constructor(private readonly core: Core) {}

  /** @param about - makes the order number, with the customer: something that happens once */
  buy(
    order: { externalUserId: string; userId: string | undefined; amountMinor: number; delivery?: number },
    about: string | number,
    at: Date,
  ): void {
    const { externalUserId, userId, amountMinor, delivery } = order
    const orderNo = `so${hashKey(18, this.core.seed, 'order', externalUserId, about)}`
    this.core.state.append(
      'purchase (at_ms, order_no, external_user_id, user_id, amount_minor, delivery)',
      [at.getTime(), orderNo, externalUserId, userId ?? null, amountMinor, delivery ?? null],
    ) // prettier-ignore
    this.core.state.count('purchases')
    this.core.happened(at, 'bought', orderNo, externalUserId, String(amountMinor))
  }

  /** How many orders there are. */
  count(): number {
    return this.core.state.get<{ n: number }>('SELECT count(*) AS n FROM purchase')!.n
  }

  click(delivery: number, keys: readonly string[], at: Date): void {
    this.core.state.append('click (at_ms, delivery)', [at.getTime(), delivery])
    this.core.state.count('clicks')
    this.core.happened(at, 'clicked', ...keys)
  }

  /** In the order of time, those after `after`. */
  purchases(after = 0, limit = 1_000): Purchase[] {
    type Row = Source & { seq: number; at_ms: number; order_no: string; user_id: string | null; amount_minor: number; union_id: string | null } // prettier-ignore
    return this.core.state
      .all<Row>(
        `SELECT p.*, d.msgid, d.user_id AS sender, c.union_id FROM purchase p LEFT JOIN delivery d ON d.seq = p.delivery
         LEFT JOIN contact c ON c.external_user_id = p.external_user_id WHERE p.seq > ? ORDER BY p.seq LIMIT ?`,
        after,
        limit,
      )
      .map((row) => ({
        seq: row.seq,
        orderNo: row.order_no,
        at: new Date(row.at_ms),
        externalUserId: row.external_user_id,
        ...(row.union_id === null ? {} : { unionId: row.union_id }),
        ...(row.user_id === null ? {} : { userId: row.user_id }),
        amountMinor: row.amount_minor,
        ...(row.msgid === null || row.sender === null
          ? {}
          : { messageId: messageIdOf(row.msgid, row.sender, row.external_user_id) }),
      }))
  }

  /** In the order of time, those after `after`. */
  clicks(after = 0, limit = 1_000): Click[] {
    type Row = { seq: number; at_ms: number; msgid: string; user_id: string; external_user_id: string; link: string }
    return this.core.state
      .all<Row>(
        `SELECT k.seq, k.at_ms, m.msgid, m.user_id, m.external_user_id, m.link FROM click k JOIN message m ON m.seq = k.delivery
         WHERE k.seq > ? ORDER BY k.seq LIMIT ?`,
        after,
        limit,
      )
      .map((row) => ({
        seq: row.seq,
        at: new Date(row.at_ms),
        messageId: messageIdOf(row.msgid, row.user_id, row.external_user_id),
        msgid: row.msgid,
        userId: row.user_id,
        externalUserId: row.external_user_id,
        url: (JSON.parse(row.link) as { url: string }).url,
      }))
  }
}
