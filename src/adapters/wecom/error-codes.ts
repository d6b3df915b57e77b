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

const APP_PAGE = '应用管理 → the app'

/**
 * What the codes mean on any call.
 * @see 全局错误码, developer.work.weixin.qq.com/document/path/90313 (read 2026-08), and the pages of the calls. Clients
 * never match on errmsg, which changes without notice.
 */
const COMMON: Readonly<Record<Meaning, Readonly<Record<number, string>>>> = {
  refresh_token: {
    40001: 'the token does not belong to this app any more',
    40014: 'the token is not valid',
    41001: 'the token is missing',
    42001: 'the token has expired',
    42009: 'the suite token has expired',
  },
  slow_down: {
    [-1]: 'the platform is busy',
    6000: 'somebody else changed the same data',
    40100: 'the customer is being transferred',
    40129: 'the customer is being transferred',
    41063: 'the mass message is still being dispatched',
    41078: 'too many moments are being created',
    41079: 'the moment is still being dispatched',
    41094: 'a mass message may be reminded of 3 times in 24 h',
    41096: 'another welcome message is being sent with this code',
    42012: 'the ticket is not usable; fetch a new one',
    45009: 'the call limit is used up',
    45033: 'too many calls at the same time',
    45035: 'the same object is being changed by another call',
    90507: 'the group is being transferred',
  },
  give_up_recipient: {
    40003: 'no such userid',
    40031: 'a userid in the list is not valid',
    40073: 'no such openid',
    40096: 'no follower of this customer is visible to the app',
    40099: 'the new owner has as many customers as she may have',
    40128: 'the customer was transferred twice in 90 days',
    40131: 'the old owner does not follow this customer',
    40132: 'the account of a team cannot do this',
    40143: 'the member who takes over is banned',
    40205: 'the member must log in to WeChat again first',
    41048: 'none of the customers can be sent to',
    41053: 'the customer has not agreed to archiving',
    41054: 'the member has not activated WeCom or is not real-name verified',
    41056: 'an external userid of another kind is needed',
    43004: 'the member has not bound WeChat',
    46004: 'no visible member has this number or address',
    49008: 'the group was dismissed',
    50002: 'the member is outside the range the app may see',
    60021: `the member is outside the visible range of the app (${APP_PAGE} → 可见范围)`,
    60030: `the member is outside the visible range of the app (${APP_PAGE} → 可见范围)`,
    60111: 'no such member (left, deleted or not visible)',
    60136: 'no such record',
    60253: 'the servicer is not in the list of this account',
    60257: 'more than 5 direct leaders',
    81013: 'none of the receivers is valid or visible to the app',
    84061: 'the member does not have this customer: not any more, or not yet (half-added)',
    84084: 'the member does not follow this customer',
    86008: 'the group belongs to another app',
    86217: 'the sender is not in the group',
    90500: 'the owner of the group has not left',
    90501: 'the group is not a customer group',
    90502: 'the owner of the group has left',
    90503: 'the group is full',
    90504: 'the group belongs to this owner already',
    90509: 'the group is not a customer group of this company',
    90511: 'no such opengid',
    95001: 'five messages were sent since the customer last wrote',
    95002: 'the customer last wrote more than 48 h ago',
    95031: 'the customer has not written within 48 h',
    610003: 'the scene is not valid',
    610004: 'not a customer',
    610014: 'no such unionid',
    610018: 'the openid and the unionid are not of one open-platform account',
    845002: 'the openid has another subject',
    845003: 'the unionid has another subject',
  },
  give_up_request: {
    40004: 'the file is of a type that is not taken',
    40005: 'the type of the file is not valid',
    40006: 'the file is too large or too small',
    40007: 'the media id expired (3 days) or is of another kind; upload it again',
    40008: 'the message type is not valid',
    40009: 'the image is too large',
    40011: 'the video is too large',
    40029: 'the sign-in code was used or is unknown: send the person to sign in again',
    40032: 'too many userids: at most 1,000',
    40033: 'characters are not valid: send UTF-8, not escapes',
    40035: 'a parameter is of the wrong type',
    40050: 'no such group',
    40058: 'a parameter is not valid',
    40063: 'a required parameter is empty',
    40066: 'a department is not valid',
    40068: 'a tag id is not valid, was deleted or belongs to another app',
    40070: 'none of the tags is valid',
    40071: 'a tag of this name exists',
    40072: 'the name of a tag or group is empty or longer than 30 characters',
    40074: 'news cannot be confidential',
    40093: 'the signature is not valid',
    40097: 'the member has not left the company',
    40123: 'the image is broken',
    40127: 'the scheme of the address is not taken',
    40130: 'the old and the new owner are the same member',
    40201: 'the content was stopped by the spam filter',
    40204: 'the content was stopped by the spam filter',
    40206: 'the request body is too large',
    41002: 'the corp id is missing',
    41004: 'the secret is missing',
    41006: 'the media id is missing',
    41008: 'the sign-in code is missing',
    41009: 'the userid is missing',
    41016: 'the title is missing',
    41017: 'the tag id is missing',
    41018: 'the name of the tag is missing',
    41019: 'the department is missing',
    41033: 'the description is missing',
    41035: 'the external userid is missing',
    41037: 'the type of the contact way is missing',
    41038: 'the type of the contact way is not valid',
    41039: 'the scene of the contact way is missing',
    41040: 'the scene of the contact way is not valid',
    41041: 'a contact way has at most 100 members',
    41042: 'the style of the contact way is not valid',
    41043: 'the id of the contact way is missing',
    41044: 'no such contact way or join way',
    41046: 'the id of the mass message is missing',
    41047: 'no such mass message',
    41049: 'the welcome code is missing',
    41050: 'the welcome code was used or is older than 20 s',
    41055: 'the company has 100 group welcomes already',
    41058: 'only the app that made it may change it',
    41059: 'the id of the moment is missing',
    41060: 'no such moment',
    41061: 'this member has not published the moment',
    41062: 'the moment is not published yet',
    41064: 'too many attachments: at most 9',
    41065: 'the type of an attachment is not valid',
    41067: 'the moment is of another kind',
    41068: 'the word list is not valid',
    41069: 'the company has 100 rules already',
    41070: 'no such rule',
    41071: 'the rule was deleted',
    41072: 'the media was uploaded for another use; upload it again',
    41073: 'the description of the product is not valid',
    41074: 'the product was deleted',
    41075: 'no such product',
    41076: 'the rule applies to too many',
    41077: 'a rule of this name exists',
    41080: 'the attachment is too large',
    41081: 'the resolution of the attachment is too high',
    41082: 'the video is too long',
    41083: 'a word of the rule is not valid',
    41084: 'a kind of content of the rule is not valid',
    41085: 'the number of the product is not valid',
    41086: 'the price is not valid',
    41087: 'the description of the product is not valid',
    41088: 'the list of attachments is empty',
    41089: 'text and attachments are both missing',
    41090: 'the format of the video is not taken',
    41091: 'a join way has at most 5 groups',
    42003: 'the sign-in code is older than 5 minutes: send the person to sign in again',
    42014: 'the task id is not valid or was used before',
    42015: 'the card belongs to another app',
    42017: 'no such button',
    42018: 'the key of the button is not valid',
    42019: 'the key of the button is missing',
    42020: 'the name of the button is missing',
    42022: 'the sign-in code was used before: send the person to sign in again',
    44001: 'the file is empty',
    44004: 'the content is empty',
    45001: 'the file is too large',
    45002: 'the content is too long',
    45004: 'the description is too long',
    45007: 'the voice message is too long',
    45008: 'at most 8 articles',
    45022: 'the name is too long',
    45029: 'the reply would be too large: ask for less',
    45032: 'the name of the author is too long',
    45034: 'an address lacks its scheme',
    48005: 'this call is retired',
    49004: 'the signature does not match',
    50100: 'the cursor is not valid or has expired; start from the first page',
    60003: 'no such department',
    60008: 'the department exists',
    60102: 'the userid exists',
    60103: 'the phone number is not valid',
    60104: 'the phone number is taken',
    60105: 'the e-mail address is not valid',
    60106: 'the e-mail address is taken',
    60123: 'no such department',
    60124: 'no such parent department',
    81003: 'the member has as many tags as she may have',
    81014: 'too many members in one call',
    81017: 'more than 1,000 owners: name at most 100 of them',
    82001: 'no receiver was given',
    82002: 'at most 100 departments',
    82003: 'at most 100 tags',
    82004: 'the content would make the client crash',
    84014: 'the ticket of the user has expired: she must sign in again',
    84015: 'the ticket of the user is not valid',
    86001: 'the id of the group is not valid',
    86003: 'the id of the group is missing',
    86004: 'the name of the group is not valid',
    86005: 'the owner of the group is not valid',
    86006: 'a group has 2 to 2,000 members',
    86007: 'a member of the group is not valid',
    86214: 'the type of chat is not valid',
    86215: 'a group of this id exists',
    86216: 'a member of the group is not valid',
    86224: 'not a restricted group',
    90200: 'the appid of the mini program is missing',
    90201: 'at most 10 items',
    90202: 'a key is too long',
    90203: 'a value is too long',
    90204: 'the page of the mini program is not valid',
    90207: 'the appid of the mini program is not valid',
    90208: 'the appid of the mini program is another one',
    91040: 'the type of the ticket is not valid',
    93000: 'the address of the webhook is wrong, or it was removed from the group',
    93008: 'the webhook is not in the group',
    95000: 'no such customer service account',
    95004: 'no such customer service account',
    95007: 'the token of the event is not valid or older than 10 minutes',
    95008: 'the items of the menu are not valid',
    95013: 'the session has ended',
    95014: 'the member is no servicer of this account',
    95016: 'the session cannot go from its state to that one',
    95018: 'the state of the session does not allow sending',
    301016: 'the voice message is too long',
    301017: 'the voice message is of another format',
    301019: 'the checksum does not match',
    301021: 'some userids are not valid',
    301036: 'the userid may not be changed',
    301058: 'the reply would be too large: ask for less',
    301059: 'only for groups of members',
    301060: 'at most 100 pairs',
    610017: 'the mini program and the company have different subjects',
    845001: 'the openid is not of a mini program or official account',
  },
  tell_a_person: {
    40013: 'the corp id is wrong: compare it with 我的企业 → 企业信息 → 企业ID',
    40056: `the agent id is wrong: compare it with ${APP_PAGE} → AgentId`,
    40057: `the callback URL did not answer as it must: see ${APP_PAGE} → 接收消息 → 设置API接收`,
    40091: 'the secret belongs to another company',
    40098: 'the new owner is not real-name verified: she does it in her WeCom client',
    40126: 'the company has as many customer tags as it may have: remove some under 客户联系 → 客户标签',
    41036: 'the name of the company shown to customers is not valid: see 我的企业 → 企业信息',
    41045: 'the company has as many contact ways as it may have: remove some under 客户联系 → 加客户 → 联系我',
    41057: 'no WeChat developer account is bound: bind it under 客户联系 → API → 微信开发者ID',
    41095: 'the quota of acquisition links is used up: see 客户联系 → 获客助手',
    43009: 'the company is not verified: see 我的企业 → 企业信息 → 认证',
    43012: `a callback URL is needed: set it under ${APP_PAGE} → 接收消息 → 设置API接收`,
    45024: 'the company has as many members as it may have',
    48001: `the app may not use this call: enable it under ${APP_PAGE} → 功能`,
    48002: 'the app may not use this call: add it under 客户联系 → API → 可调用接口的应用, and use its own secret',
    48006: `the permission was withdrawn after long inactivity: enable the app again under ${APP_PAGE}`,
    48009: 'the contact-sync secret may not read details from a new IP: read them with the secret of the app',
    50001: `the domain is not trusted: add it under ${APP_PAGE} → 网页授权及JS-SDK`,
    50003: `the app is disabled: enable it under ${APP_PAGE} → 启用`,
    60011: `the member or department is outside the visible range of the app (${APP_PAGE} → 可见范围)`,
    60020: `this IP is not trusted: add it under ${APP_PAGE} → 企业可信IP, it acts after 1 minute`,
    60031: `the app is forbidden to call the API: see ${APP_PAGE} and the notices of the admin page`,
    80001: `the domain is not trusted or lacks its ICP record: see ${APP_PAGE} → 网页授权及JS-SDK`,
    81011: 'the app may not change this tag of members: allow it under 通讯录 → 标签',
    84074: 'the member lacks the customer-contact feature: add her under 客户联系 → 权限配置',
    84083: 'the member lacks the customer-contact feature: add her under 客户联系 → 权限配置',
    85004: 'trusted domains were changed 20 times this month: wait for the next one',
    85005: `the ownership of the domain is not verified: see ${APP_PAGE} → 网页授权及JS-SDK`,
    90206: 'the mini program is not linked to the company: 应用管理 → 小程序 → 关联',
    90510: 'the company has had no active users for a year: members must log in first',
    93004: 'the webhook is disabled: enable it in its group',
    95003: 'the company is not verified: see 我的企业 → 企业信息 → 认证',
    95011: 'the account is managed elsewhere: allow the app under 微信客服 → API',
    95012: 'the account is managed elsewhere: allow the app under 微信客服 → API',
    301002: `the agent id and the secret belong to different apps: copy both from ${APP_PAGE}`,
    301042: 'this IP may not read the archive: add it under 管理工具 → 会话内容存档 → 可信IP地址',
    301052: 'the archive service has expired: 管理工具 → 会话内容存档',
    301053: 'the archive is not enabled: 管理工具 → 会话内容存档',
    610015: 'the open-platform account is not verified: see open.weixin.qq.com → 账号中心',
    610016: 'the company is not verified: see 我的企业 → 企业信息 → 认证',
    670001: 'the app is not shared with this company: 应用管理 → 上下游',
    701008: 'no member has an interface licence: 应用管理 → 接口许可',
    846000: 'this kind of app may not convert ids: use the unionid of the contact',
  },
  already_done: {
    40165: 'the group ids are upgraded already',
    41093: 'the mass message is cancelled',
    42016: 'no such card',
    42052: 'a message can be recalled for 24 h only',
    60140: 'the response code was used or is older than 72 h',
    90508: 'the group was transferred already',
  },
}

/** Where the same code means something else, by call. */
const PER_CALL: Readonly<Record<string, Readonly<Record<number, Entry>>>> = {
  gettoken: {
    40001: ['tell_a_person', `the app secret is wrong or was reset: copy it anew from ${APP_PAGE} → Secret`],
    45009: ['slow_down', 'tokens were asked for too often, or wrong secrets have banned this IP for an hour'],
  },
  'externalcontact/list': { 84061: ['already_done', 'the member has no customers'] },
  'externalcontact/batch/get_by_user': {
    84061: ['already_done', 'the members have no customers'],
    701008: ['already_done', 'none of the members has an interface licence'],
  },
  'externalcontact/get': {
    84061: ['give_up_recipient', 'nobody we may see has this customer: not any more, or not yet (half-added)'],
  },
  'externalcontact/send_welcome_msg': { 41051: ['already_done', 'the chat has begun or the welcome was delivered'] },
  'externalcontact/del_corp_tag': { 40068: ['already_done', 'no such tag any more'] },
  'menu/get': { 46003: ['already_done', 'the app has no menu'] },
  'externalcontact/get_contact_way': { 41044: ['already_done', 'no such contact way'] },
  'externalcontact/groupchat/get_join_way': { 41044: ['already_done', 'no such join way'] },
  'externalcontact/del_contact_way': { 41044: ['already_done', 'no such contact way any more'] },
}

const BY_CODE: ReadonlyMap<number, Entry> = new Map(
  (Object.keys(COMMON) as Meaning[]).flatMap((meaning) =>
    Object.entries(COMMON[meaning]).map(([code, say]) => [Number(code), [meaning, say]] as const),
  ),
)

/** Certainly not applied, and another answer may come in a moment: the transport asks again by itself. */
export const PASSING: ReadonlySet<number> = new Set([6000, 41096, 45033, 45035])

/** What `code` means as an answer to `api` (path below `/cgi-bin/`), and how to say it to a person. */
export function meaningOf(api: string, code: number): { meaning: Meaning; say: string } {
  const [meaning, say] = PER_CALL[api]?.[code] ??
    BY_CODE.get(code) ?? ['give_up_request', `see open.work.weixin.qq.com/devtool/query?e=${code}`]
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
    .replace(/[A-Za-z0-9_-]{24,}|\d{7,}|\d{1,3}(\.\d{1,3}){3}/g, '…')
    .slice(0, 120)
}
