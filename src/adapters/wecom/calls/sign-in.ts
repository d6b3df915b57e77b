import { createHash } from 'node:crypto'
import { z } from 'zod'
import { secretHex } from '../../../random.js'
import type { PageSignature, WecomSignIn } from '../../../ports/wecom-sign-in.js'
import type { Clock } from '../../../time.js'
import type { Calls } from './calls.js'
import { WecomError } from '../transport/error-codes.js'
import { createTokenSource, type TokenSource } from '../transport/token.js'
import { Text, toUnixSeconds } from './wire.js'

/** New and old spelling: `user/getuserinfo` wrote `UserId`, `OpenId`. */
const VisitorReply = z.looseObject({
  userid: Text,
  UserId: Text,
  user_ticket: Text,
  openid: Text,
  OpenId: Text,
  external_userid: Text,
})
const DetailsReply = z.object({
  userid: z.string().min(1),
  gender: Text,
  avatar: Text,
  qr_code: Text,
  mobile: Text,
  email: Text,
  biz_mail: Text,
  address: Text,
})
export type MemberSecrets = z.infer<typeof DetailsReply>
const TicketReply = z.object({ ticket: z.string().min(1), expires_in: z.number().positive() })

export type Visitor =
  /** `ticket` (30 minutes) for `details`, when the page asked for `snsapi_privateinfo`. */
  { kind: 'member'; userId: string; ticket?: string } | { kind: 'outsider'; openId?: string; externalUserId?: string }

/** A ticket is kept until it expires: an app may ask 100 times an hour, a company 400 (page 90506). */
export type TicketSources = { corp: TokenSource; agent: TokenSource }

export function createTickets(clock: Clock, calls: Calls): TicketSources {
  const source = (api: string, query?: Record<string, string>) =>
    createTokenSource(clock, async () => {
      const { ticket, expires_in } = await calls.get(api, TicketReply, query)
      return { access_token: ticket, expires_in }
    })
  return { corp: source('get_jsapi_ticket'), agent: source('ticket/get', { type: 'agent_config' }) }
}

/** Who visits our pages, and the signatures that let those pages use WeCom. */
export function signInCalls(calls: Calls, clock: Clock, tickets: TicketSources) {
  return {
    /**
     * Who has come back from the sign-in page (page 91023).
     *
     * @param code - works once, within 5 minutes
     * @throws {WecomError} 40029 used or unknown, 42003 too old, 50001 the redirect's domain is not trusted
     */
    async visitor(code: string): Promise<Visitor> {
      const reply = await calls.get('auth/getuserinfo', VisitorReply, { code })
      const userId = reply.userid ?? reply.UserId
      if (userId !== undefined) {
        return { kind: 'member', userId, ...(reply.user_ticket !== undefined && { ticket: reply.user_ticket }) }
      }
      const openId = reply.openid ?? reply.OpenId
      return {
        kind: 'outsider',
        ...(openId !== undefined && { openId }),
        ...(reply.external_userid !== undefined && { externalUserId: reply.external_userid }),
      }
    },
    /** What the member agreed to show (page 95833). @param ticket - of `visitor`; @throws {WecomError} 84014 expired, 84015 wrong */
    details: (ticket: string): Promise<MemberSecrets> =>
      calls.read('auth/getuserdetail', DetailsReply, { user_ticket: ticket }),
    /**
     * For `getConfigSignature` (identity `corp`) or `getAgentConfigSignature` (identity `agent`, which the sidebar needs).
     *
     * @param url - the page as the browser has it; what follows `#` is left out
     */
    async signPage(url: string, identity: keyof TicketSources): Promise<PageSignature> {
      const ticket = await tickets[identity].get()
      const nonceStr = secretHex(8)
      const timestamp = toUnixSeconds(clock.now())
      return { timestamp, nonceStr, signature: signPage({ ticket, nonceStr, timestamp, url }) }
    },
  }
}

/** SHA-1 over the four values, in lower-case hex. @see 附录 JS-SDK 使用权限签名算法, document/path/90506 (read 2026-08) */
export function signPage(page: { ticket: string; nonceStr: string; timestamp: number; url: string }): string {
  const url = page.url.split('#', 1)[0]
  const text = `jsapi_ticket=${page.ticket}&noncestr=${page.nonceStr}&timestamp=${page.timestamp}&url=${url}`
  return createHash('sha1').update(text).digest('hex')
}

export type SignInPage = {
  corpId: string
  agentId: number
  /** On a domain the app trusts (应用管理 → 网页授权及JS-SDK, or 企业微信授权登录 for `webSignInUrl`). */
  redirectUrl: string
  /** Comes back unchanged; letters and digits, at most 128. */
  state: string
  /** In place of the platform's host, e.g. the address of a local WeCom. */
  origin?: string
}

/**
 * Where a page inside WeCom sends a member to learn who she is; she comes back to `redirectUrl?code=…&state=…`.
 *
 * @param page.privateInfo - asks for her phone, e-mail …: she is asked whether she agrees
 * @see document/path/91022 (read 2026-08)
 */
export function signInUrl(page: SignInPage & { privateInfo?: boolean }): string {
  const query = new URLSearchParams({
    appid: page.corpId,
    redirect_uri: page.redirectUrl,
    response_type: 'code',
    scope: page.privateInfo === true ? 'snsapi_privateinfo' : 'snsapi_base',
    state: page.state,
    agentid: String(page.agentId),
  })
  return `${page.origin ?? 'https://open.weixin.qq.com'}/connect/oauth2/authorize?${query.toString()}#wechat_redirect`
}

/**
 * Where a browser on a desk sends a member: she scans a code with WeCom and comes back as above.
 * @see document/path/98152 (read 2026-08)
 */
export function webSignInUrl(page: SignInPage): string {
  const query = new URLSearchParams({
    login_type: 'CorpApp',
    appid: page.corpId,
    agentid: String(page.agentId),
    redirect_uri: page.redirectUrl,
    state: page.state,
    lang: 'zh',
  })
  return `${page.origin ?? 'https://login.work.weixin.qq.com'}/wwlogin/sso/login?${query.toString()}`
}

/** Codes that were used (40029, 42022) or are older than five minutes (42003). */
const SPENT_CODE = new Set([40029, 42003, 42022])

export function createSignIn(
  client: { agentId: number; signIn: ReturnType<typeof signInCalls> },
  corpId: string,
): WecomSignIn {
  const { agentId, signIn } = client
  return {
    corpId,
    agentId,
    authorizeUrl: (redirectUrl, state) => signInUrl({ corpId, agentId, redirectUrl, state }),
    async memberOf(code) {
      try {
        const visitor = await signIn.visitor(code)
        return visitor.kind === 'member' ? visitor.userId : undefined
      } catch (err) {
        if (err instanceof WecomError && SPENT_CODE.has(err.errcode)) return undefined
        throw err
      }
    },
    signature: (kind, pageUrl) => signIn.signPage(pageUrl, kind),
  }
}
