import { UpstreamError } from '../../errors.js'

/** What a caller does about an errcode. */
export type Meaning =
  /** Fetch a new token, repeat once. */
  | 'refresh_token'
  /** Certainly not applied; the same request may go again later. */
  | 'slow_down'
  /** This customer or member cannot be reached this way; others in the same batch may be. */
  | 'give_up_recipient'
  /** This request will be refused however often it is sent. */
  | 'give_up_request'
  /** A setting in the admin pages must change first. */
  | 'tell_a_person'
  /** The state asked for is the state there is, or the last moment for it has passed. */
  | 'already_done'

type Entry = readonly [Meaning, string]

/**
 * @see 全局错误码, developer.work.weixin.qq.com/document/path/90313 (read 2026-08). Clients never match on errmsg, which
 * changes without notice.
 */
const COMMON: Readonly<Record<number, Entry>> = {
  [-1]: ['slow_down', 'the platform is busy'],
  6000: ['slow_down', 'somebody else changed the same data'],
  40001: ['refresh_token', 'the token does not belong to this app any more'],
  40003: ['give_up_recipient', 'no such userid'],
  40007: ['give_up_request', 'the media id expired (3 days) or is of another kind; upload it again'],
  40013: ['tell_a_person', 'the corp id is wrong: compare it with 我的企业 → 企业信息 → 企业ID'],
  40014: ['refresh_token', 'the token is not valid'],
  40031: ['give_up_recipient', 'a userid in the list is not valid'],
  40056: ['tell_a_person', 'the agent id is wrong: compare it with 应用管理 → the app → AgentId'],
  40058: ['give_up_request', 'a parameter is not valid'],
  40063: ['give_up_request', 'a required parameter is empty'],
  40068: ['give_up_request', 'a tag id is not valid or belongs to another app'],
  40091: ['tell_a_person', 'the secret belongs to another company'],
  40096: ['give_up_recipient', 'no follower of this customer is visible to the app'],
  40201: ['give_up_request', 'the content was stopped by the spam filter'],
  40204: ['give_up_request', 'the content was stopped by the spam filter'],
  40206: ['give_up_request', 'the request body is too large'],
  41001: ['refresh_token', 'the token is missing'],
  41035: ['give_up_request', 'the external userid is missing'],
  41047: ['give_up_request', 'no such mass message'],
  41048: ['give_up_recipient', 'none of the customers can be sent to'],
  41049: ['give_up_request', 'the welcome code is missing'],
  41050: ['give_up_request', 'the welcome code was used or is older than 20 s'],
  41053: ['give_up_recipient', 'the customer has not agreed to archiving'],
  41054: ['give_up_recipient', 'the member has not activated WeCom or is not real-name verified'],
  41063: ['slow_down', 'the mass message is still being dispatched'],
  41093: ['already_done', 'the mass message is cancelled'],
  41094: ['slow_down', 'a mass message may be reminded of 3 times in 24 h'],
  41096: ['slow_down', 'another welcome message is being sent with this code'],
  42001: ['refresh_token', 'the token has expired'],
  42014: ['give_up_request', 'the task id is not valid or was used before'],
  42016: ['already_done', 'no such card'],
  42052: ['already_done', 'a message can be recalled for 24 h only'],
  45009: ['slow_down', 'the call limit is used up'],
  45033: ['slow_down', 'too many calls at the same time'],
  45035: ['slow_down', 'the same object is being changed by another call'],
  48001: ['tell_a_person', 'the app may not use this call: enable it in the admin page of the app'],
  48002: [
    'tell_a_person',
    'the app may not use this call: add it under 客户联系 → API → 可调用接口的应用, and use its own secret',
  ],
  48005: ['give_up_request', 'this call is retired'],
  48006: ['tell_a_person', 'the permission was withdrawn after long inactivity: enable the app again'],
  50002: ['give_up_recipient', 'the member is outside the range the app may see'],
  50003: ['tell_a_person', 'the app is disabled: enable it under 应用管理'],
  50100: ['give_up_request', 'the cursor is not valid or has expired; start from the first page'],
  60011: ['tell_a_person', 'the member or department is outside the visible range of the app (应用管理 → 可见范围)'],
  60020: [
    'tell_a_person',
    'this IP is not trusted: add it under 应用管理 → the app → 企业可信IP, it acts after 1 minute',
  ],
  60021: ['give_up_recipient', 'the member is outside the visible range of the app'],
  60031: ['tell_a_person', 'the app is forbidden to call the API'],
  60111: ['give_up_recipient', 'no such member (left, deleted or not visible)'],
  60140: ['already_done', 'the response code was used or is older than 72 h'],
  81013: ['give_up_recipient', 'none of the receivers is valid or visible to the app'],
  82001: ['give_up_request', 'no receiver was given'],
  84061: ['give_up_recipient', 'the member has no such customer'],
  84074: ['tell_a_person', 'the member lacks the customer-contact feature: 客户联系 → 权限配置'],
  84083: ['tell_a_person', 'the member lacks the customer-contact feature: 客户联系 → 权限配置'],
  84084: ['give_up_recipient', 'the member does not follow this customer'],
  301002: ['tell_a_person', 'the agent id and the secret belong to different apps'],
}

/** Where the same code means something else, by call. */
const PER_CALL: Readonly<Record<string, Readonly<Record<number, Entry>>>> = {
  gettoken: {
    40001: ['tell_a_person', 'the app secret is wrong or was reset: copy it anew from 应用管理 → the app → Secret'],
  },
  'externalcontact/list': { 84061: ['already_done', 'the member has no customers'] },
  'externalcontact/batch/get_by_user': { 84061: ['already_done', 'the members have no customers'] },
  'externalcontact/send_welcome_msg': { 41051: ['already_done', 'the chat has begun or the welcome was delivered'] },
}

/** What `code` means as an answer to `api` (path below `/cgi-bin/`), and how to say it to a person. */
export function meaningOf(api: string, code: number): { meaning: Meaning; say: string } {
  const [meaning, say] = PER_CALL[api]?.[code] ??
    COMMON[code] ?? ['give_up_request', `see open.work.weixin.qq.com/devtool/query?e=${code}`]
  return { meaning, say }
}

/** WeCom answered with an errcode: the request was certainly not applied (but see `-1`, which only says "busy"). */
export class WecomError extends UpstreamError {
  readonly meaning: Meaning

  constructor(
    readonly api: string,
    readonly errcode: number,
    errmsg: string,
    /** For `slow_down`: not before this many milliseconds from now. */
    readonly retryAfterMs?: number,
  ) {
    const { meaning, say } = meaningOf(api, errcode)
    const said = cleanErrmsg(errmsg)
    super(
      'wecom',
      String(errcode),
      meaning === 'slow_down',
      `${api}: ${say}${said === '' ? '' : `; it said "${said}"`}`,
    )
    this.meaning = meaning
  }
}

/** The platform echoes values and our IP in errmsg: keep the words, drop what could be an id, a number or a token. */
function cleanErrmsg(errmsg: string): string {
  return errmsg
    .replace(/,?\s*(hint:|from ip:|more info at).*$/is, '')
    .replace(/[A-Za-z0-9_-]{24,}|\d{7,}/g, '…')
    .slice(0, 120)
}
