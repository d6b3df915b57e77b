import { UpstreamError } from '../../errors.js'
import { cleanErrmsg } from '../errmsg.js'

/** What a caller does about an errcode. */
export type WechatMeaning =
  /** Fetch a new token, repeat once. */
  | 'refresh_token'
  /** Certainly not applied; the same request may go again later. */
  | 'slow_down'
  /** This person cannot be reached this way; others can. */
  | 'give_up_recipient'
  /** This request will be refused however often it is sent. */
  | 'give_up_request'
  /** A setting in the admin pages must change first. */
  | 'tell_a_person'

type Entry = readonly [WechatMeaning, string]

/** @see 全局返回码, developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html (read 2026-08) */
const COMMON: Readonly<Record<number, Entry>> = {
  [-1]: ['slow_down', 'the platform is busy'],
  40001: ['refresh_token', 'the token is not the newest one'],
  40003: ['give_up_recipient', 'no such openid under this appid'],
  40013: ['tell_a_person', 'the appid is wrong: compare it with 设置与开发 → 基本配置'],
  40014: ['refresh_token', 'the token is not valid'],
  40029: ['give_up_request', 'the code is not valid or older than 5 minutes: the person must sign in again'],
  40032: ['give_up_request', 'the list of openids is empty or too long'],
  40037: ['give_up_request', 'no such template in this account'],
  40066: ['give_up_request', 'the page is not in the published mini program'],
  40125: ['tell_a_person', 'the app secret is wrong or was reset: 设置与开发 → 基本配置'],
  40163: ['give_up_request', 'the code was used before: the person must sign in again'],
  40164: ['tell_a_person', 'this IP is not allowed: add it to 设置与开发 → 基本配置 → IP白名单'],
  40165: ['give_up_request', 'the page is not in the published mini program'],
  40226: ['give_up_recipient', 'the person is blocked for risk'],
  41001: ['refresh_token', 'the token is missing'],
  41030: ['give_up_request', 'the page of the message is not in the published mini program'],
  42001: ['refresh_token', 'the token has expired'],
  43004: ['give_up_recipient', 'the person does not follow the account'],
  43101: ['give_up_recipient', 'the person has not agreed to this message, or the consent is used up'],
  43107: ['tell_a_person', 'the account may not send subscribe messages'],
  45009: ['slow_down', 'the call limit is used up; the day’s begins anew at midnight'],
  45011: ['slow_down', 'the minute’s call limit is used up'],
  45056: ['give_up_request', 'there are 100 tags already'],
  45057: ['give_up_request', 'a tag of more than 100,000 followers cannot be deleted'],
  45058: ['give_up_request', 'the tags 0, 1 and 2 are the platform’s own'],
  45059: ['give_up_recipient', 'the person has 20 tags already'],
  45157: ['give_up_request', 'the tag name is there already or not allowed'],
  45158: ['give_up_request', 'the tag name is too long (30 characters)'],
  45159: ['give_up_request', 'no such tag'],
  47003: ['give_up_request', 'a value does not fit its field of the template'],
  48001: ['tell_a_person', 'the account lacks the permission of this call: 设置与开发 → 接口权限'],
  49003: ['give_up_recipient', 'the openid belongs to another appid'],
  50002: ['tell_a_person', 'the account is restricted'],
  85079: ['tell_a_person', 'the mini program has no published version'],
  85400: ['give_up_request', 'the link would live longer than 30 days'],
  89503: ['tell_a_person', 'an administrator must confirm this IP in WeChat'],
  89506: ['tell_a_person', 'this IP was refused by the administrator, twice: wait an hour'],
  89507: ['tell_a_person', 'this IP was refused by the administrator: wait an hour'],
}

/** Where the same code means something else: asking for a token cannot be mended by a new token. */
const WRONG_SECRET: Entry = ['tell_a_person', 'appid and secret do not fit: compare them with 设置与开发 → 基本配置']

/** What `code` means as an answer to `api`, and how to say it to a person. */
export function meaningOf(api: string, code: number): { meaning: WechatMeaning; say: string } {
  const isToken = api.endsWith('/token') || api.endsWith('/stable_token')
  const [meaning, say] =
    isToken && code === 40001 ? WRONG_SECRET : (COMMON[code] ?? (['give_up_request', 'no known meaning'] as const))
  return { meaning, say }
}

/** The platform answered with an errcode: the request was not applied (but see `-1`, which only says "busy"). */
export class WechatError extends UpstreamError {
  readonly meaning: WechatMeaning

  constructor(
    readonly api: string,
    readonly errcode: number,
    errmsg: string,
  ) {
    const { meaning, say } = meaningOf(api, errcode)
    const said = cleanErrmsg(errmsg)
    super(
      'wechat',
      String(errcode),
      meaning === 'slow_down',
      `${api}: ${say}${said === '' ? '' : `; it said "${said}"`}`,
    )
    this.meaning = meaning
  }
}
