import { z } from 'zod'
import { ConflictError, NotFoundError } from '../../../src/errors.js'
import { parseInput } from '../../../src/parse.js'
import type { World } from '../../world/world.js'
import { personOf } from '../weixin/people.js'
import { checkCouponSign } from './merchant-coupons.js'
import { useCashCoupon } from './favor.js'
import { generationOf, PayRefusal } from './merchant.js'
import { dropUndefined, takeOnce } from './pay.js'

const Use = z.strictObject({ couponId: z.string(), transactionId: z.string().default('4200000000000000000000000000') })
const Take = z.strictObject({
  openid: z.string(),
  send_coupon_params: z
    .array(z.strictObject({ stock_id: z.string(), out_request_no: z.string(), coupon_code: z.string().optional() }))
    .min(1)
    .max(10),
  sign: z.string(),
  send_coupon_merchant: z.string(),
})

type Routes = Record<string, (body: unknown, query: URLSearchParams) => Promise<{ json: unknown }>>

/** What customers do with coupons, and what WeChat Pay does by itself. */
export function payControls(world: World, now: () => Date, deliver: () => Promise<void>): Routes {
  const act = async (work: () => unknown): Promise<{ json: unknown }> => {
    try {
      const json = world.write(work)
      await deliver()
      return { json }
    } catch (err) {
      if (err instanceof PayRefusal) throw new ConflictError(`${err.code}: ${err.message}`, {}, { cause: err })
      throw err
    }
  }
  return {
    /** The customer pays with a cash coupon. */
    'POST /control/pay/use': async (body) => {
      const { couponId, transactionId } = parseInput(Use, body)
      return act(() => {
        useCashCoupon(world, couponId, transactionId, now())
        return { ok: true }
      })
    },
    /** The customer taps in the mini program: what the plugin `sendCoupon` was given, by whom. */
    'POST /control/pay/take': async (body) => {
      const { openid, send_coupon_params: params, sign, send_coupon_merchant } = parseInput(Take, body)
      const person = personOf(world, openid, now())
      if (person === undefined) throw new NotFoundError(`no such openid; see GET /control/weixin/people`)
      return act(() => {
        const numbered = params.flatMap((one, i) =>
          Object.entries(dropUndefined(one)).map(([name, value]) => [`${name}${i}`, value] as const),
        )
        checkCouponSign(world, { ...Object.fromEntries(numbered), send_coupon_merchant }, sign)
        const codes = params.map((one) =>
          takeOnce(world, { ...one, openid, appid: person.appid, channel: 'MINIAPP' }, now()),
        )
        return { codes }
      })
    },
    /** The platform exchanges its certificate: from now on a new key signs. */
    'POST /control/pay/rotate': () =>
      act(() => {
        world.state.setMeta('pay_generation', String(generationOf(world) + 1))
        return { ok: true }
      }),
  }
}
