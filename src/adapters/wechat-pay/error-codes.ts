import { z } from 'zod'
import { UpstreamError } from '../../errors.js'

/** What a caller does about a refusal. */
export type PayMeaning =
  /** Certainly not applied; the same request, with the same number, may go again later. */
  | 'slow_down'
  /** This customer cannot get this coupon; others can. */
  | 'give_up_recipient'
  /** This request will be refused however often it is sent. */
  | 'give_up_request'
  /** The stock has no coupon or no budget left: stop sending from it. */
  | 'used_up'
  /** A setting of the merchant must change first. */
  | 'tell_a_person'

/** @see 公共错误码 and the tables of each call, pay.weixin.qq.com/doc/v3/merchant/4012070714 (read 2026-08) */
const MEANINGS: Readonly<Record<string, readonly [PayMeaning, string]>> = {
  PARAM_ERROR: ['give_up_request', 'a parameter is not valid'],
  INVALID_REQUEST: [
    'give_up_request',
    'a rule of the call is broken (state of stock or coupon, openid of another appid)',
  ],
  RESOURCE_ALREADY_EXISTS: ['give_up_request', 'it exists already'],
  RESOURCE_NOT_EXISTS: ['give_up_request', 'no such stock or coupon'],
  MCH_NOT_EXISTS: ['tell_a_person', 'no such merchant: compare mchId with 商户平台 → 账户中心 → 商户信息'],
  APPID_MCHID_NOT_MATCH: ['tell_a_person', 'appid and merchant are not bound: 商户平台 → 产品中心 → AppID账号管理'],
  SIGN_ERROR: [
    'tell_a_person',
    'the signature is wrong: compare private key and serialNo with 商户平台 → 账户中心 → API安全',
  ],
  NO_AUTH: ['tell_a_person', 'the product is not opened or the merchant may not do this: 商户平台 → 产品中心'],
  REQUEST_BLOCKED: ['give_up_recipient', 'blocked (outside the time of the stock, or a limit of this customer)'],
  USER_ACCOUNT_ABNORMAL: ['give_up_recipient', 'the account of the customer is under risk control'],
  RULE_LIMIT: ['give_up_recipient', 'a limit of the stock is reached for this customer'],
  NOT_ENOUGH: ['used_up', 'budget or stock is used up'],
  FREQUENCY_LIMITED: ['slow_down', 'the call limit is used up'],
  RATELIMIT_EXCEEDED: ['slow_down', 'the call limit is used up'],
  SYSTEM_ERROR: ['slow_down', 'the platform failed; the same request number decides'],
}

/** `detail` is optional and its members vary. `value` is left out: it may be personal. */
export const PayErrorBody = z.looseObject({
  code: z.string().min(1),
  message: z.string().default(''),
  detail: z.looseObject({ field: z.string().optional(), issue: z.string().optional() }).nullish().catch(undefined),
})
export type PayErrorBody = z.infer<typeof PayErrorBody>

/** WeChat Pay answered with an error: below 500 the request was certainly not applied. */
export class PayError extends UpstreamError {
  readonly meaning: PayMeaning

  constructor(
    readonly status: number,
    call: string,
    { code, message, detail }: PayErrorBody,
    /** For the platform's support. */
    readonly requestId: string | undefined,
  ) {
    const [meaning, say] = MEANINGS[code] ?? [
      status === 429 || status >= 500 ? ('slow_down' as const) : ('give_up_request' as const),
      `HTTP ${status}`,
    ]
    const words = [detail?.field?.slice(0, 120) ?? '', clean(detail?.issue ?? ''), clean(message)]
    const said = words.filter((text) => text !== '')
    super('wechat-pay', code, meaning === 'slow_down', [`${call}: ${say}`, ...said].join('; '))
    this.meaning = meaning
  }
}

/** The platform quotes values: keep its words, drop what could be an id, a number or a key. */
function clean(text: string): string {
  return text.replace(/[A-Za-z0-9_+/=-]{24,}|\d{7,}/g, '…').slice(0, 160)
}
