import axios from 'axios'
import { messageOf } from '../../../src/errors.js'
import type { Log } from '../../../src/log.js'
import { hashKey } from '../../../src/random.js'
import { MINUTE_MS, SECOND_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { platformPublicKeyOf } from './keys.js'
import { seal, signatureHeaders, signingKeyFor, wireTime } from './merchant.js'
import type { Family } from './stocks.js'

/** The receiver must answer within 5 s; what failed comes again every minute. */
const TIMEOUT_MS = 5 * SECOND_MS
const PAUSE_MS = MINUTE_MS
/** Deliveries in all. */
const TRIES: Readonly<Record<Family, number>> = { favor: 10, busifavor: 12 }

type OutboxRow = {
  seq: number
  family: Family
  event_type: string
  content: string
  at_ms: number
  next_ms: number
  tries: number
}

/** Worlds with callbacks that wait: whoever has none is not asked again with every step. */
const pending = new WeakSet<World>()

/** Writes a callback down; nobody is called while no address is set for this family of coupons. */
export function raisePayCallback(world: World, family: Family, eventType: string, content: unknown, at: Date): void {
  if ((world.state.meta(`pay_callback_${family}`) ?? '') === '') return
  world.state.run(
    `INSERT INTO pay_outbox (family, event_type, content, at_ms, next_ms, tries, state) VALUES (?, ?, ?, ?, ?, 0, 'waiting')`,
    family,
    eventType,
    JSON.stringify(content),
    at.getTime(),
    at.getTime(),
  )
  pending.add(world)
}

/** Delivers WeChat Pay's callbacks: sealed, signed, again every minute until they are taken. */
export class PaySender {
  private readonly stopping = new AbortController()

  constructor(
    private readonly world: World,
    private readonly now: () => Date,
    private readonly log: Log,
    /** What signatures are stamped with; default `now`. */
    private readonly stampNow: () => Date = now,
  ) {
    pending.add(world) // what an earlier process left
  }

  /** When the next delivery is due, if any waits. */
  get nextMs(): number | undefined {
    if (!pending.has(this.world)) return undefined
    const { at } = this.world.state.get<{ at: number | null }>(
      `SELECT min(next_ms) AS at FROM pay_outbox WHERE state = 'waiting'`,
    )!
    if (at === null) pending.delete(this.world)
    return at ?? undefined
  }

  /** Sends what is due now, once. */
  async deliver(): Promise<void> {
    if (!pending.has(this.world)) return
    const due = this.world.state.all<OutboxRow>(
      `SELECT * FROM pay_outbox WHERE state = 'waiting' AND next_ms <= ? ORDER BY seq`,
      this.now().getTime(),
    )
    for (const row of due) {
      if (this.stopping.signal.aborted) return
      const failure = await this.send(row)
      const tries = row.tries + 1
      const state = failure === undefined ? 'delivered' : tries >= TRIES[row.family] ? 'lost' : 'waiting'
      if (state === 'lost') this.log.warn('WeChat Pay callback lost', { seq: row.seq, reason: failure ?? '' })
      this.world.state.run(
        'UPDATE pay_outbox SET state = ?, tries = ?, next_ms = ? WHERE seq = ?',
        state,
        tries,
        this.now().getTime() + PAUSE_MS,
        row.seq,
      )
    }
  }

  stop(): void {
    this.stopping.abort()
  }

  /** @returns what is wrong, if anything */
  private async send(row: OutboxRow): Promise<string | undefined> {
    const { world } = this
    const { payCallbackKey, paySignTest } = world.scenario.weixin
    const url = world.state.meta(`pay_callback_${row.family}`)
    if (url === undefined || url === '') return 'the callback is switched off'
    const body = JSON.stringify({
      id: `EV-${hashKey(20, world.seed, 'pay-event', row.seq)}`,
      create_time: wireTime(row.at_ms),
      resource_type: 'encrypt-resource',
      event_type: row.event_type,
      summary: row.event_type === 'COUPON.USE' ? '代金券核销通知' : '商家券领券通知',
      resource: { original_type: 'coupon', ...seal(world, row.content, 'coupon', `callback/${row.seq}`) },
    })
    const usesPublicKey = payCallbackKey === 'public_key' || (payCallbackKey === 'mixed' && row.seq % 2 === 0)
    const key = signingKeyFor(world, usesPublicKey ? platformPublicKeyOf(world.seed).serial : undefined)
    const headers = signatureHeaders(key, body, this.stampNow(), `callback/${row.seq}/${row.tries}`)
    if (paySignTest && row.tries === 0) {
      // The platform's probe: it must be refused, and nothing is made of the answer.
      await this.post(url, body, { ...headers, 'wechatpay-signature': `WECHATPAY/SIGNTEST/${hashKey(40, row.seq)}` })
    }
    return this.post(url, body, headers)
  }

  private async post(url: string, body: string, headers: Record<string, string>): Promise<string | undefined> {
    try {
      const { status } = await axios.post(url, Buffer.from(body), {
        headers: { ...headers, 'content-type': 'application/json' },
        timeout: TIMEOUT_MS,
        signal: this.stopping.signal,
        validateStatus: () => true,
        responseType: 'text',
        proxy: false,
      })
      return status === 200 || status === 204 ? undefined : `answered HTTP ${status}`
    } catch (err) {
      return messageOf(err)
    }
  }
}
