import { z } from 'zod'
import type { WechatTransport } from './transport.js'

const Session = z.looseObject({
  openid: z.string().min(1),
  session_key: z.string().min(1),
  unionid: z.string().nullish(),
})
const Phone = z.looseObject({
  phone_info: z.looseObject({
    phoneNumber: z.string().min(1),
    purePhoneNumber: z.string().min(1),
    countryCode: z.coerce.string(),
  }),
})
const UrlLinkInfo = z.looseObject({
  url_link_info: z.looseObject({ path: z.string().nullish(), query: z.string().nullish(), expire_time: z.number() }),
})

export type PageLink = {
  /** A published page without a leading `/`; default the first page. */
  path?: string
  /** At most 1,024 characters. */
  query?: string
  /** From now; at most 30. */
  days: number
  version?: 'release' | 'trial' | 'develop'
}

/**
 * Signing in to a mini program, and links that open it.
 *
 * @see 小程序登录 and 获取URL Link, developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/ (read 2026-08)
 */
export function miniProgramCalls(transport: WechatTransport) {
  const expiry = (days: number) => ({ expire_type: 1, expire_interval: days })
  const pageOf = ({ path, query, version }: PageLink) => ({
    ...(path !== undefined && { path }),
    ...(query !== undefined && { query }),
    ...(version !== undefined && { env_version: version }),
  })
  return {
    /**
     * Who signed in. The code (`wx.login`) is good for 5 minutes and once, so a lost answer means: sign in again.
     *
     * @returns `sessionKey` is a secret between us and the platform: never logged, never sent to the client
     */
    async signIn(code: string): Promise<{ openId: string; unionId?: string; sessionKey: string }> {
      const reply = await transport.call({
        api: '/sns/jscode2session',
        query: { js_code: code, grant_type: 'authorization_code' },
        reply: Session,
        repeat: 'effect',
        by: 'secret',
      })
      return {
        openId: reply.openid,
        sessionKey: reply.session_key,
        ...(reply.unionid ? { unionId: reply.unionid } : {}),
      }
    },
    /** @param code - of the button `getPhoneNumber`: 5 minutes, once */
    async phoneNumber(code: string): Promise<{ phone: string; countryCode: string }> {
      const { phone_info: phone } = await transport.call({
        api: '/wxa/business/getuserphonenumber',
        body: { code },
        reply: Phone,
        repeat: 'effect',
      })
      return { phone: phone.purePhoneNumber, countryCode: phone.countryCode }
    },
    /** `https://wxaurl.cn/…`: opens the mini program from anywhere; many people may open it. */
    async urlLink(link: PageLink): Promise<string> {
      const reply = await transport.call({
        api: '/wxa/generate_urllink',
        body: { ...pageOf(link), ...expiry(link.days) },
        reply: z.looseObject({ url_link: z.string().min(1) }),
        repeat: 'harmless',
      })
      return reply.url_link
    },
    /** Where a link leads and when it ends. */
    async urlLinkInfo(urlLink: string): Promise<{ path: string; query: string; expiresAt: Date }> {
      const { url_link_info: info } = await transport.call({
        api: '/wxa/query_urllink',
        body: { url_link: urlLink, query_type: 0 },
        reply: UrlLinkInfo,
        repeat: 'harmless',
      })
      return { path: info.path ?? '', query: info.query ?? '', expiresAt: new Date(info.expire_time * 1_000) }
    },
    /** `weixin://dl/business/?t=…`: for messages and pages outside WeChat. */
    async scheme(link: PageLink): Promise<string> {
      const reply = await transport.call({
        api: '/wxa/generatescheme',
        body: { jump_wxa: pageOf(link), is_expire: true, ...expiry(link.days) },
        reply: z.looseObject({ openlink: z.string().min(1) }),
        repeat: 'harmless',
      })
      return reply.openlink
    },
    /** `#小程序://…`: for inside WeChat; 30 days. @param url - path with query, at most 1,024 characters */
    async shortLink(url: string, title: string): Promise<string> {
      const reply = await transport.call({
        api: '/wxa/genwxashortlink',
        body: { page_url: url, page_title: title, is_permanent: false },
        reply: z.looseObject({ link: z.string().min(1) }),
        repeat: 'harmless',
      })
      return reply.link
    },
  }
}
