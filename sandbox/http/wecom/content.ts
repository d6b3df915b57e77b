import { z } from 'zod'
import type { Content, MessageLink } from '../../world/messages.js'
import type { World } from '../../world/world.js'
import { checkBytes, checkUrl, OptionalText, read, Refusal } from '../core/endpoint.js'
import { checkMedia, isPictureUrl } from './media.js'

/** Pages 92135, 92137, 92366: what messages to customers may carry. Lengths in bytes of UTF-8. */
const MAX_ATTACHMENTS = 9
const MAX_TEXT_BYTES = 4_000

const Bodies = {
  image: z.object({ media_id: OptionalText, pic_url: OptionalText }),
  link: z.object({ title: z.string().min(1), url: z.string().min(1), picurl: OptionalText, desc: OptionalText }),
  miniprogram: z.object({
    title: z.string().min(1),
    pic_media_id: z.string().min(1),
    appid: z.string().min(1),
    page: z.string().min(1),
  }),
  video: z.object({ media_id: z.string().min(1) }),
  file: z.object({ media_id: z.string().min(1) }),
}
export type AttachmentKind = keyof typeof Bodies
export const isAttachmentKind = (kind: string): kind is AttachmentKind => Object.hasOwn(Bodies, kind)

const Attachment = z.object({ msgtype: z.string() }).loose()

/** Text and attachments of mass and welcome messages. */
export const ContentBody = {
  text: z.object({ content: OptionalText }).nullish(),
  attachments: z
    .array(Attachment)
    .nullish()
    .transform((list) => list ?? []),
}

/** @throws {Refusal} 40058, 41064, 41065, 40007, 45034 */
export function readContent(
  world: World,
  text: { content?: string | undefined } | null | undefined,
  attachments: readonly z.infer<typeof Attachment>[],
  now: Date,
): Content {
  const content = text?.content ?? ''
  checkBytes('text.content', content, MAX_TEXT_BYTES)
  if (attachments.length > MAX_ATTACHMENTS) throw new Refusal(41064, 'attachments count out of limit')
  if (content === '' && attachments.length === 0)
    throw new Refusal(40058, 'text and attachments unexpected empty. invalid Request Parameter')
  let link: MessageLink | undefined
  for (const attachment of attachments) {
    const type = attachment.msgtype
    if (!isAttachmentKind(type)) throw new Refusal(41065, 'invalid attachment msgtype')
    link ??= checkAttachment(world, type, attachment[type], now)
  }
  return { text: content, attachments, ...(link === undefined ? {} : { link }) }
}

/** @returns the link, when it is one. @throws {Refusal} 40058, 40007, 45034 */
export function checkAttachment(
  world: World,
  kind: AttachmentKind,
  given: unknown,
  now: Date,
): MessageLink | undefined {
  const body = (given ?? {}) as Record<string, unknown>
  const field = `attachments.${kind}`
  switch (kind) {
    case 'link': {
      const { title, url, desc, picurl } = read(Bodies.link, body)
      checkBytes(`${field}.title`, title, 128)
      checkUrl(`${field}.url`, url)
      checkBytes(`${field}.desc`, desc ?? '', 512)
      checkBytes(`${field}.picurl`, picurl ?? '', 2_048)
      return { title, url, ...(desc === undefined ? {} : { description: desc }) }
    }
    case 'image': {
      const { media_id: mediaId, pic_url: url } = read(Bodies.image, body)
      if (mediaId !== undefined) checkMedia(world, mediaId, now, 'image')
      else if (url === undefined) throw new Refusal(40058, `${field} unexpected empty. invalid Request Parameter`)
      else if (!isPictureUrl(world, url))
        throw new Refusal(40058, `${field}.pic_url invalid. invalid Request Parameter`)
      return undefined
    }
    case 'miniprogram': {
      const { title, pic_media_id: picture } = read(Bodies.miniprogram, body)
      checkBytes(`${field}.title`, title, 64)
      checkMedia(world, picture, now, 'image')
      return undefined
    }
    case 'video':
    case 'file':
      checkMedia(world, read(Bodies[kind], body).media_id, now, kind)
      return undefined
  }
}
