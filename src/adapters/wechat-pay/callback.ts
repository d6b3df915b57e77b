import { z } from 'zod'
import { InvalidInputError } from '../../errors.js'
import { parseInput } from '../../parse.js'
import { Instant } from './calls.js'
import { CashCoupon } from './cash-coupons.js'
import type { PlatformKeys, SignedMessage } from './platform-keys.js'
import { openSealed, Sealed } from './sealed.js'

const Envelope = z.looseObject({
  id: z.string().min(1),
  create_time: Instant,
  event_type: z.string().min(1),
  resource: Sealed,
})

/** A customer took a merchant coupon. Openid and unionid only come with `notifyAppId`. */
const CouponTaken = z.looseObject({
  coupon_code: z.string().min(1),
  stock_id: z.string().min(1),
  send_time: Instant,
  openid: z.string().nullish(),
  unionid: z.string().nullish(),
  send_channel: z.string().nullish(),
  attach_info: z.looseObject({ transaction_id: z.string().nullish() }).nullish(),
})

export type PayCallback = {
  /** The same for repeated deliveries of one event. */
  id: string
  createdAt: Date
} & (
  | { kind: 'cash_coupon_used'; coupon: z.infer<typeof CashCoupon> }
  | { kind: 'merchant_coupon_taken'; coupon: z.infer<typeof CouponTaken> }
  /** An event this version does not know. */
  | { kind: 'other'; eventType: string }
)

/**
 * Verifies and decrypts one delivery. Answer it within 5 s: 204 when this resolves and the event is stored; 401 with
 * `{"code":"FAIL","message":"…"}` when it throws. It comes again every minute, 9 to 11 times.
 *
 * @see 回调通知, pay.weixin.qq.com/doc/v3/merchant/4012071382 (read 2026-08)
 * @throws {InvalidInputError} when it is not from WeChat Pay, too old, or cannot be read
 */
export async function readPayCallback(
  { keys, apiV3Key }: { keys: PlatformKeys; apiV3Key: string },
  message: SignedMessage,
): Promise<PayCallback> {
  const problem = await keys.problemOf(message)
  if (problem !== undefined) {
    throw new InvalidInputError('WeChat Pay callback refused', [{ path: 'Wechatpay-Signature', message: problem }])
  }
  const envelope = parseInput(Envelope, parseJson(message.body, 'body'), 'Not a WeChat Pay callback')
  const content = parseJson(openSealed(apiV3Key, envelope.resource), 'resource')
  const head = { id: envelope.id, createdAt: envelope.create_time }
  switch (envelope.event_type) {
    case 'COUPON.USE':
      return { ...head, kind: 'cash_coupon_used', coupon: parseInput(CashCoupon, content, 'Callback COUPON.USE') }
    case 'COUPON.SEND':
      return {
        ...head,
        kind: 'merchant_coupon_taken',
        coupon: parseInput(CouponTaken, content, 'Callback COUPON.SEND'),
      }
    default:
      return { ...head, kind: 'other', eventType: envelope.event_type }
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (err) {
    const problem = { path, message: 'is not JSON', hint: 'hand the body over as it was received' }
    throw new InvalidInputError('WeChat Pay callback refused', [problem], { cause: err })
  }
}
