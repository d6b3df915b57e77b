import { createHash } from 'node:crypto'
import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { SECOND_MS } from '../../../src/time.js'
import { openObjects } from '../../objects.js'
import type { Scenario } from '../../scenario.js'
import type { World } from '../../world/world.js'
import { checkCard } from './cards.js'
import { checkBytes, checkUrl, type Endpoints, OptionalText, read, Refusal } from '../core/endpoint.js'
import { checkMedia, type Scene, uploadMedia } from './media.js'
import { isPicture } from './media-formats.js'

/** Page 99110 (2025-08-07). */
const MAX_MARKDOWN_BYTES = 4_096
const MAX_IMAGE_BYTES = 2 * 1024 * 1024
const MAX_ARTICLES = 8

/** A message in a group, as everybody there sees it. The key of its webhook is not kept. */
export type WebhookMessage = { webhook: string; at: string; msgtype: string; body: unknown }

/** The key that a program gets for one of the scenario's webhooks: in the shape of a UUID. */
export function webhookKey(seed: number, webhook: Scenario['webhooks'][number]): string {
  const digits = hashKey(32, seed, 'webhook', webhook.name)
  return webhook.key ?? digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

type Check = (body: Record<string, unknown>, key: string, now: Date) => void

/** A group's webhook (消息推送, page 99110): the key in the address is the only secret. 20 a minute: limits.ts. */
export function webhookEndpoints(world: World): Endpoints {
  const { scenario, seed } = world
  const messages = openObjects<WebhookMessage>(world.state, seed, 'webhook_message')
  const names = new Map(scenario.webhooks.map((webhook) => [webhookKey(seed, webhook), webhook.name]))
  const Content = z.object({ content: OptionalText })
  const text =
    (type: string, maxBytes: number): Check =>
    (body) => {
      const { content } = read(Content, body)
      if (content === undefined) throw new Refusal(44004, 'empty content')
      checkBytes(`${type}.content`, content, maxBytes)
    }
  const checks: Record<string, Check> = {
    text: (body, key, now) => {
      text('text', scenario.behaviour.webhookTextBytes)(body, key, now)
      read(z.object({ mentioned_list: z.array(z.string()).nullish(), mentioned_mobile_list: z.array(z.string()).nullish() }), body)
    }, // prettier-ignore
    markdown: text('markdown', MAX_MARKDOWN_BYTES),
    markdown_v2: text('markdown_v2', MAX_MARKDOWN_BYTES),
    image: (body) => {
      const { base64, md5 } = read(z.object({ base64: z.string(), md5: z.string() }), body)
      if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new Refusal(301019, 'image md5 value not match')
      const picture = Buffer.from(base64, 'base64')
      if (picture.length > MAX_IMAGE_BYTES) throw new Refusal(40009, 'invalid image size')
      if (createHash('md5').update(picture).digest('hex') !== md5.toLowerCase())
        throw new Refusal(301019, 'image md5 value not match')
      if (!isPicture(picture)) throw new Refusal(40009, 'invalid image size')
    },
    news: (body) => {
      const Article = z.object({
        title: OptionalText,
        description: OptionalText,
        url: OptionalText,
        picurl: OptionalText,
      })
      const { articles } = read(z.object({ articles: z.array(Article).min(1) }), body)
      if (articles.length > MAX_ARTICLES) throw new Refusal(45008, 'article size out of limit')
      for (const { title, description, url } of articles) {
        if (title === undefined) throw new Refusal(41016, 'missing title')
        checkBytes('news.articles.title', title, 128)
        checkBytes('news.articles.description', description ?? '', 512)
        checkUrl('news.articles.url', url ?? '')
      }
    },
    file: (body, key, now) => checkMedia(world, mediaIdOf(body), now, 'file', sceneOf(key)),
    voice: (body, key, now) => checkMedia(world, mediaIdOf(body), now, 'voice', sceneOf(key)),
    template_card: (body) => {
      checkCard(body, { isWebhook: true, refuseLongTexts: scenario.behaviour.refuseLongCardTexts })
    },
  }
  return {
    '/cgi-bin/webhook/send': {
      writes: true,
      token: false,
      handle: ({ params, now }) => {
        const { key, webhook } = webhookOf(params)
        const { msgtype } = read(z.object({ msgtype: z.string().default('') }), params)
        if (!Object.hasOwn(checks, msgtype)) throw new Refusal(40008, 'invalid message type')
        const body = (params[msgtype] ?? {}) as Record<string, unknown>
        checks[msgtype]!(body, key, now)
        messages.put(messages.newId('', 32), { webhook, at: now.toISOString(), msgtype, body })
        return {}
      },
    },
    '/cgi-bin/webhook/upload_media': {
      writes: true,
      token: false,
      handle: (call) => {
        const { key } = webhookOf(call.params)
        const { type, mediaId } = uploadMedia(world, call, sceneOf(key), ['file', 'voice'])
        return { type, media_id: mediaId, created_at: String(Math.floor(call.now.getTime() / SECOND_MS)) }
      },
    },
  }

  function webhookOf(params: Record<string, unknown>): { key: string; webhook: string } {
    const { key } = read(z.object({ key: OptionalText }), params)
    const webhook = key === undefined ? undefined : names.get(key)
    if (key === undefined || webhook === undefined) throw new Refusal(93000, 'invalid webhook url')
    return { key, webhook }
  }
}

/** Usable only by the webhook that uploaded it. */
function sceneOf(key: string): Scene {
  return `webhook ${hashKey(16, key)}`
}

function mediaIdOf(body: Record<string, unknown>): string {
  const { media_id: id } = read(z.object({ media_id: OptionalText }), body)
  if (id === undefined) throw new Refusal(41006, 'missing media_id')
  return id
}
