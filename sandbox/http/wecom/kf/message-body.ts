import { z } from 'zod'
import type { World } from '../../../world/world.js'
import { checkBytes, checkUrl, OptionalText, read, Refusal } from '../../core/endpoint.js'
import { checkMedia } from '../media.js'

/** Pages 94677, 95122. */
const MAX_MENU_ITEMS = 10

/** The body of a message of that type. @throws {Refusal} as the platform refuses it */
export function checkKfMessage(
  world: World,
  type: string,
  params: Record<string, unknown>,
  now: Date,
): Record<string, unknown> {
  const body = (params[type] ?? {}) as Record<string, unknown>
  const some = z.string().min(1)
  const checks: Record<string, () => void> = {
    text: () => {
      const { content } = read(z.object({ content: OptionalText }), body)
      if (content === undefined) throw new Refusal(44004, 'empty content')
      checkBytes('text.content', content, 2_048)
    },
    image: () => checkMedia(world, read(z.object({ media_id: some }), body).media_id, now, 'image'),
    voice: () => checkMedia(world, read(z.object({ media_id: some }), body).media_id, now, 'voice'),
    video: () => checkMedia(world, read(z.object({ media_id: some }), body).media_id, now, 'video'),
    file: () => checkMedia(world, read(z.object({ media_id: some }), body).media_id, now, 'file'),
    link: () => {
      const {
        title,
        desc,
        url,
        thumb_media_id: thumb,
      } = read(z.object({ title: some, desc: OptionalText, url: some, thumb_media_id: some }), body)
      checkBytes('link.title', title, 128)
      checkBytes('link.desc', desc ?? '', 512)
      checkUrl('link.url', url)
      checkMedia(world, thumb, now, 'image')
    },
    miniprogram: () => {
      const { title, thumb_media_id: thumb } = read(
        z.object({ appid: some, title: OptionalText, thumb_media_id: some, pagepath: some }),
        body,
      )
      checkBytes('miniprogram.title', title ?? '', 64)
      checkMedia(world, thumb, now, 'image')
    },
    msgmenu: () => {
      const Item = z.object({ type: z.enum(['click', 'view', 'miniprogram', 'text']) }).loose()
      const { head_content, tail_content, list } = read(
        z.object({ head_content: OptionalText, tail_content: OptionalText, list: z.array(Item).default([]) }),
        body,
      )
      checkBytes('msgmenu.head_content', head_content ?? '', 1_024)
      checkBytes('msgmenu.tail_content', tail_content ?? '', 1_024)
      if (list.length > MAX_MENU_ITEMS) throw new Refusal(95008, 'menu item count out of limit')
    },
    location: () =>
      void read(z.object({ latitude: z.number().min(-90).max(90), longitude: z.number().min(-180).max(180) }), body),
    business_card: () => {
      const { userid } = read(z.object({ userid: some }), body)
      if (world.member(userid) === undefined) throw new Refusal(60111, 'userid not found')
    },
    ca_link: () => checkUrl('ca_link.link_url', read(z.object({ link_url: some }), body).link_url),
  }
  if (!Object.hasOwn(checks, type)) throw new Refusal(40008, 'invalid message type')
  checks[type]!()
  return body
}
