import { unitOf } from '../../src/random.js'
import { DAY_MS } from '../../src/time.js'
import type { Core } from './core.js'
import type { Relations } from './relations.js'

/** Page 92125: the customer changes hands by himself after 24 hours, unless he refuses. */
const TRANSFER_MS = DAY_MS

/** `transfer_result`, status (pages 94088, 94082): 1 done, 2 waiting, 3 the customer refused, 4 the new owner is full. */
export type TransferStatus = 1 | 2 | 3 | 4

export type Transfer = {
  seq: number
  handover: string
  takeover: string
  externalUserId: string
  /** Whether the old owner had left the company. */
  resigned: boolean
  askedAt: Date
  /** When it happened, or will. */
  takeoverAt: Date
  status: TransferStatus
}

type Row = {
  seq: number
  handover: string
  takeover: string
  external_user_id: string
  resigned: number
  asked_ms: number
  takeover_ms: number
  status: TransferStatus
}

/** Customers handed from one member to another (客户继承, pages 92125, 94081). Inside the caller's transaction. */
export class Transfers {
  constructor(
    private readonly core: Core,
    private readonly relations: Relations,
  ) {}

  /** Accepts a transfer, which happens a day later. Whether it may be asked for is checked by the caller. */
  start(ask: { handover: string; takeover: string; externalUserId: string; resigned: boolean }, at: Date): Transfer {
    const { handover, takeover, externalUserId, resigned } = ask
    const takeoverAt = new Date(at.getTime() + TRANSFER_MS)
    this.core.state.run(
      'INSERT INTO transfer (handover, takeover, external_user_id, resigned, asked_ms, takeover_ms, status) VALUES (?, ?, ?, ?, ?, ?, 2)',
      handover, takeover, externalUserId, resigned ? 1 : 0, at.getTime(), takeoverAt.getTime(),
    ) // prettier-ignore
    const transfer = this.ofContact(externalUserId).at(-1)!
    this.core.agenda.schedule(takeoverAt, 'takeover', `${externalUserId}/${handover}`, { seq: transfer.seq })
    return transfer
  }

  /** All transfers of a customer, the earliest first: for "at most 2 in 90 days" and "already under way". */
  ofContact(externalUserId: string): Transfer[] {
    return this.core.state
      .all<Row>('SELECT * FROM transfer WHERE external_user_id = ? ORDER BY seq', externalUserId)
      .map(toTransfer)
  }

  /** The transfers between two members, in the order they were asked for. */
  between(handover: string, takeover: string, resigned: boolean, afterSeq: number, limit: number): Transfer[] {
    return this.core.state
      .all<Row>(
        'SELECT * FROM transfer WHERE handover = ? AND takeover = ? AND resigned = ? AND seq > ? ORDER BY seq LIMIT ?',
        handover, takeover, resigned ? 1 : 0, afterSeq, limit,
      )
      .map(toTransfer) // prettier-ignore
  }

  /**
   * The day has passed. The takeover raises the add event, except when the new owner is a friend already or was one
   * before; the handover's deletion names its source, and a member who has left is told nothing.
   */
  carryOut(seq: number, at: Date): void {
    const row = this.core.state.get<Row>('SELECT * FROM transfer WHERE seq = ? AND status = 2', seq)
    if (row === undefined) return
    const { handover, takeover, externalUserId, resigned } = toTransfer(row)
    const { core, relations } = this
    const settle = (status: TransferStatus) =>
      void core.state.run('UPDATE transfer SET status = ?, takeover_ms = ? WHERE seq = ?', status, status === 1 ? at.getTime() : 0, seq) // prettier-ignore
    const fail = (status: TransferStatus, reason: string) => {
      settle(status)
      core.happened(at, 'transfer_failed', externalUserId, takeover)
      relations.raise('transfer_fail', takeover, externalUserId, at, { FailReason: reason })
    }
    const old = relations.get(handover, externalUserId)
    const refuses = unitOf(core.seed, 'refuse-transfer', externalUserId, takeover) < core.scenario.habits.refuseTransferRatio // prettier-ignore
    if (refuses || old === undefined || old.status === 'member_deleted') return fail(3, 'customer_refused')
    const before = relations.status(takeover, externalUserId)
    if (before !== 'active' && this.customersOf(takeover) >= core.staff.find(takeover)!.customerLimit)
      return fail(4, 'customer_limit_exceed')
    settle(1)
    if (before !== 'active') relations.copy(old, takeover, at)
    relations.end(handover, externalUserId)
    core.happened(at, 'transferred', externalUserId, handover, takeover)
    if (before === undefined) relations.raise('add_external_contact', takeover, externalUserId, at)
    if (!resigned)
      relations.raise('del_external_contact', handover, externalUserId, at, { Source: 'DELETE_BY_TRANSFER' })
  }

  private customersOf(userId: string): number {
    return this.core.state.get<{ n: number }>(
      `SELECT count(*) AS n FROM relation WHERE user_id = ? AND status = 'active'`,
      userId,
    )!.n
  }
}

function toTransfer(row: Row): Transfer {
  return {
    seq: row.seq,
    handover: row.handover,
    takeover: row.takeover,
    externalUserId: row.external_user_id,
    resigned: row.resigned === 1,
    askedAt: new Date(row.asked_ms),
    takeoverAt: new Date(row.takeover_ms),
    status: row.status,
  }
}
