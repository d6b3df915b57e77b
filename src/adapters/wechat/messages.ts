import { z } from 'zod'
import type { WechatTransport } from './transport.js'

/** Values by the template's field: `thing1`, `time2` … */
export type TemplateData = Readonly<Record<string, string>>

export type TemplateMessage = {
  openId: string
  templateId: string
  data: TemplateData
  /** Where a tap leads; the mini program wins over the address. */
  url?: string
  miniProgram?: { appId: string; path: string }
  /** With one, the platform lets the same message through once, and a lost answer is repeated. */
  clientMsgId?: string
}

export type SubscribeMessage = {
  openId: string
  templateId: string
  data: TemplateData
  /** Page of the mini program, with query. */
  page?: string
  /** For official accounts, beside `page`. */
  miniProgram?: { appId: string; path: string }
  /** Which version of the mini program opens. Default `formal`. */
  state?: 'developer' | 'trial' | 'formal'
}

/**
 * Messages that follow something a person did. Marketing is forbidden in template messages, and a one-time subscribe
 * message needs a consent of its own each time. Throws {WechatError} with `give_up_recipient` for who does not follow
 * (43004) or has not agreed (43101).
 *
 * @see developers.weixin.qq.com/doc/offiaccount/Message_Management/Template_Message_Interface.html and
 * developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-message-management/subscribe-message/sendMessage.html (read 2026-08)
 */
export function messageCalls(transport: WechatTransport) {
  const valuesOf = (data: TemplateData) =>
    Object.fromEntries(Object.entries(data).map(([field, value]) => [field, { value }]))
  const miniProgramOf = (to: { appId: string; path: string } | undefined) =>
    to === undefined ? {} : { miniprogram: { appid: to.appId, pagepath: to.path } }
  const subscribe = (api: string, message: SubscribeMessage): Promise<void> =>
    transport
      .call({
        api,
        body: {
          touser: message.openId,
          template_id: message.templateId,
          ...(message.page !== undefined && { page: message.page }),
          ...miniProgramOf(message.miniProgram),
          ...(message.state !== undefined && { miniprogram_state: message.state }),
          lang: 'zh_CN',
          data: valuesOf(message.data),
        },
        reply: z.looseObject({}),
        repeat: 'effect',
      })
      .then(() => undefined)

  return {
    /** A template message of an official account, to a follower. */
    async template(message: TemplateMessage): Promise<{ msgId: string }> {
      const reply = await transport.call({
        api: '/cgi-bin/message/template/send',
        body: {
          touser: message.openId,
          template_id: message.templateId,
          ...(message.url !== undefined && { url: message.url }),
          ...miniProgramOf(message.miniProgram),
          ...(message.clientMsgId !== undefined && { client_msg_id: message.clientMsgId }),
          data: valuesOf(message.data),
        },
        reply: z.looseObject({ msgid: z.union([z.string(), z.number()]) }),
        repeat: message.clientMsgId === undefined ? 'effect' : 'harmless',
      })
      return { msgId: String(reply.msgid) }
    },
    /** A subscribe message of a mini program. */
    subscribe: (message: SubscribeMessage) => subscribe('/cgi-bin/message/subscribe/send', message),
    /** A subscribe message of an official account. */
    subscribeByAccount: (message: SubscribeMessage) => subscribe('/cgi-bin/message/subscribe/bizsend', message),
  }
}
