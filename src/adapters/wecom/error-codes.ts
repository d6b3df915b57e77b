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
  40029: ['give_up_request', 'the sign-in code was used or is unknown: send the person to sign in again'],
  40031: ['give_up_recipient', 'a userid in the list is not valid'],
  40056: ['tell_a_person', 'the agent id is wrong: compare it with 应用管理 → the app → AgentId'],
  40058: ['give_up_request', 'a parameter is not valid'],
  40063: ['give_up_request', 'a required parameter is empty'],
  40068: ['give_up_request', 'a tag id is not valid or belongs to another app'],
  40071: ['give_up_request', 'a tag of this name exists in the group'],
  40072: ['give_up_request', 'the name of a tag or group is empty or longer than 30 characters'],
  40091: ['tell_a_person', 'the secret belongs to another company'],
  40096: ['give_up_recipient', 'no follower of this customer is visible to the app'],
  40097: ['give_up_request', 'the member has not left the company'],
  40098: ['tell_a_person', 'the new owner is not real-name verified: she does it in her WeCom client'],
  40099: ['give_up_recipient', 'the new owner has as many customers as she may have'],
  40100: ['slow_down', 'the customer is already in a transfer'],
  40126: ['tell_a_person', 'the company has as many corp tags as it may have: delete unused ones'],
  40128: ['give_up_recipient', 'the customer was transferred twice within 90 days'],
  40129: ['slow_down', 'the customer is being transferred'],
  40130: ['give_up_request', 'the old and the new owner are the same member'],
  40131: ['give_up_recipient', 'the old owner does not follow this customer'],
  40201: ['give_up_request', 'the content was stopped by the spam filter'],
  40204: ['give_up_request', 'the content was stopped by the spam filter'],
  40206: ['give_up_request', 'the request body is too large'],
  41001: ['refresh_token', 'the token is missing'],
  41035: ['give_up_request', 'the external userid is missing'],
  41041: ['give_up_request', 'a contact way leads to more than 100 members'],
  41044: ['give_up_request', 'no such contact way or join way'],
  41045: ['tell_a_person', 'the company has as many contact ways as it may have: delete unused ones'],
  41047: ['give_up_request', 'no such mass message'],
  41048: ['give_up_recipient', 'none of the customers can be sent to'],
  41049: ['give_up_request', 'the welcome code is missing'],
  41050: ['give_up_request', 'the welcome code was used or is older than 20 s'],
  41053: ['give_up_recipient', 'the customer has not agreed to archiving'],
  41054: ['give_up_recipient', 'the member has not activated WeCom or is not real-name verified'],
  41057: ['tell_a_person', 'no WeChat developer account is bound: 客户联系 → API → 绑定微信开发者ID'],
  41063: ['slow_down', 'the mass message is still being dispatched'],
  41091: ['give_up_request', 'a join way leads to more than 5 groups'],
  41093: ['already_done', 'the mass message is cancelled'],
  41094: ['slow_down', 'a mass message may be reminded of 3 times in 24 h'],
  41096: ['slow_down', 'another welcome message is being sent with this code'],
  42001: ['refresh_token', 'the token has expired'],
  42003: ['give_up_request', 'the sign-in code is older than 5 minutes: send the person to sign in again'],
  42014: ['give_up_request', 'the task id is not valid or was used before'],
  42016: ['already_done', 'no such card'],
  42052: ['already_done', 'a message can be recalled for 24 h only'],
  42022: ['give_up_request', 'the sign-in code was used before: send the person to sign in again'],
  45009: ['slow_down', 'the call limit is used up'],
  45033: ['slow_down', 'too many calls at the same time'],
  45035: ['slow_down', 'the same object is being changed by another call'],
  46004: ['give_up_recipient', 'no visible member has this number or address'],
  48001: ['tell_a_person', 'the app may not use this call: enable it in the admin page of the app'],
  48002: [
    'tell_a_person',
    'the app may not use this call: add it under 客户联系 → API → 可调用接口的应用, and use its own secret',
  ],
  48005: ['give_up_request', 'this call is retired'],
  48006: ['tell_a_person', 'the permission was withdrawn after long inactivity: enable the app again'],
  49008: ['give_up_recipient', 'the group was dismissed'],
  50001: ['tell_a_person', 'the domain of the page is not trusted: 应用管理 → the app → 网页授权及JS-SDK'],
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
  81017: ['give_up_request', 'more than 1,000 owners: name at most 100 of them'],
  82001: ['give_up_request', 'no receiver was given'],
  84061: ['give_up_recipient', 'the member has no such customer'],
  84074: ['tell_a_person', 'the member lacks the customer-contact feature: 客户联系 → 权限配置'],
  84083: ['tell_a_person', 'the member lacks the customer-contact feature: 客户联系 → 权限配置'],
  84084: ['give_up_recipient', 'the member does not follow this customer'],
  90501: ['give_up_recipient', 'no customer group of this company'],
  90507: ['slow_down', 'the group is being handed over'],
  90509: ['give_up_recipient', 'no customer group of this company'],
  301002: ['tell_a_person', 'the agent id and the secret belong to different apps'],
  610014: ['give_up_recipient', 'the unionid is not valid'],
  610017: ['give_up_request', 'the mini program and the company have different subjects'],
  610018: ['give_up_recipient', 'the openid and the unionid are not of one open-platform account'],
  845001: ['give_up_request', 'the openid is not of a mini program or official account'],
  845002: ['give_up_recipient', 'the openid has another subject'],
  845003: ['give_up_recipient', 'the unionid has another subject'],
}

/** Where the same code means something else, by call. */
const PER_CALL: Readonly<Record<string, Readonly<Record<number, Entry>>>> = {
  'menu/get': { 46003: ['already_done', 'the app has no menu'] },
  gettoken: {
    40001: ['tell_a_person', 'the app secret is wrong or was reset: copy it anew from 应用管理 → the app → Secret'],
  },
  'externalcontact/list': { 84061: ['already_done', 'the member has no customers'] },
  'externalcontact/batch/get_by_user': { 84061: ['already_done', 'the members have no customers'] },
  'externalcontact/get_contact_way': { 41044: ['already_done', 'no such contact way'] },
  'externalcontact/groupchat/get_join_way': { 41044: ['already_done', 'no such join way'] },
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
