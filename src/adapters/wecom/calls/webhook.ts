import { z } from 'zod'
import type { Calls } from './calls.js'
import { NewsNotice, TextNotice } from './cards.js'
import { Bytes, checkRequest, MediaId, Url } from './content.js'
import { Nothing, UnixSeconds } from './wire.js'

const Article = z.object({
  title: Bytes(128),
  description: Bytes(512).optional(),
  url: Url,
  picurl: Bytes(2_048).optional(),
})
/** What a group's webhook takes (page 99110, 2025-08-07). */
const Message = z.discriminatedUnion('msgtype', [
  z.object({
    msgtype: z.literal('text'),
    text: z.object({
      /** 2,048 bytes as documented; a refusal that named 5,120 was seen. */
      content: Bytes(2_048),
      /** Userids, or `@all`. */
      mentioned_list: z.array(z.string()).optional(),
      /** Phone numbers, or `@all`. */
      mentioned_mobile_list: z.array(z.string()).optional(),
    }),
  }),
  z.object({ msgtype: z.literal('markdown'), markdown: z.object({ content: Bytes(4_096) }) }),
  z.object({ msgtype: z.literal('markdown_v2'), markdown_v2: z.object({ content: Bytes(4_096) }) }),
  z.object({
    msgtype: z.literal('image'),
    /** JPG or PNG of at most 2 MB; base64 without prefix or line breaks, md5 of the bytes in hex. */
    image: z.object({ base64: z.string().min(1), md5: z.string().regex(/^[0-9a-f]{32}$/i, '32 hex digits') }),
  }),
  z.object({ msgtype: z.literal('news'), news: z.object({ articles: z.array(Article).min(1).max(8) }) }),
  /** Ids come from `upload` of the same webhook. */
  z.object({ msgtype: z.literal('file'), file: z.object({ media_id: MediaId }) }),
  z.object({ msgtype: z.literal('voice'), voice: z.object({ media_id: MediaId }) }),
  z.object({
    msgtype: z.literal('template_card'),
    template_card: z.discriminatedUnion('card_type', [TextNotice, NewsNotice]),
  }),
])
export type WebhookMessage = z.input<typeof Message>

const UploadReply = z.object({ media_id: z.string().min(1), created_at: UnixSeconds.optional() })

/**
 * Messages to a group through its webhook (消息推送, page 99110). The key is the only secret: it goes into the address and
 * nowhere else, neither into logs nor into errors. 20 messages a minute for each key.
 */
export function webhookCalls(calls: Calls) {
  return {
    /** @throws {WecomError} 93000 when the webhook is gone, 93004 when it is switched off, 45009 above 20 a minute */
    async send(key: string, message: WebhookMessage): Promise<void> {
      const body = checkRequest(Message, message, 'Webhook message')
      await calls.act('webhook/send', Nothing, body, { query: { key }, withoutToken: true })
    },
    /** File of 6 bytes to 20 MB, or AMR voice of at most 2 MB and 60 s; 3 days, for the same key only. */
    async upload(
      key: string,
      type: 'file' | 'voice',
      fileName: string,
      bytes: Uint8Array<ArrayBuffer>,
    ): Promise<string> {
      const form = new FormData()
      form.append('media', new Blob([bytes]), fileName)
      // Repeatable: a second upload is a second id that nobody uses.
      const options = { query: { key, type }, withoutToken: true }
      return (await calls.read('webhook/upload_media', UploadReply, form, options)).media_id
    },
  }
}
