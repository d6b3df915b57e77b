import { createHash } from 'node:crypto'
import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { SECOND_MS } from '../../../src/time.js'
import { type Objects, openObjects } from '../../objects.js'
import type { Scenario } from '../../scenario.js'
import type { World } from '../../world/world.js'
import { checkCard } from './cards.js'
import {
  type Call,
  checkBytes,
  checkUrl,
  type Endpoints,
  OptionalText,
  read,
  Refusal,
  type Reply,
} from '../core/endpoint.js'
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

/** Refuses a body that the platform would not take. */
type Check = (world: World, body: Record<string, unknown>, key: string, now: Date) => void

const Content = z.object({ content: OptionalText })

const CHECKS: Record<string, Check> = {
  text: (world, body) => {
    checkText('text', body, world.scenario.behaviour.webhookTextBytes)
    read(z.object({ mentioned_list: z.array(z.string()).nullish(), mentioned_mobile_list: z.array(z.string()).nullish() }), body)
  }, // prettier-ignore
  markdown: (_world, body) => checkText('markdown', body, MAX_MARKDOWN_BYTES),
  markdown_v2: (_world, body) => checkText('markdown_v2', body, MAX_MARKDOWN_BYTES),
  image: (_world, body) => {
    const { base64, md5 } = read(z.object({ base64: z.string(), md5: z.string() }), body)
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new Refusal(301019, 'image md5 value not match')
    const picture = Buffer.from(base64, 'base64')
    if (picture.length > MAX_IMAGE_BYTES) throw new Refusal(40009, 'invalid image size')
    if (createHash('md5').update(picture).digest('hex') !== md5.toLowerCase())
      throw new Refusal(301019, 'image md5 value not match')
    if (!isPicture(picture)) throw new Refusal(40009, 'invalid image size')
  },
  news: (_world, body) => {
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
  file: (world, body, key, now) => checkMedia(world, mediaIdOf(body), now, 'file', sceneOf(key)),
  voice: (world, body, key, now) => checkMedia(world, mediaIdOf(body), now, 'voice', sceneOf(key)),
  template_card: (world, body) => {
    checkCard(body, { isWebhook: true, refuseLongTexts: world.scenario.behaviour.refuseLongCardTexts })
  },
}

/** A group's webhook (消息推送, page 99110): the key in the address is the only secret. 20 a minute: limits.ts. */
export function webhookEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/webhook/send': { writes: true, token: false, handle: (call) => sendToGroup(world, call) },
    '/cgi-bin/webhook/upload_media': { writes: true, token: false, handle: (call) => uploadForGroup(world, call) },
  }
}

function messagesOf({ state, seed }: World): Objects<WebhookMessage> {
  return openObjects<WebhookMessage>(state, seed, 'webhook_message')
}

function sendToGroup(world: World, { params, now }: Call): Reply {
  const messages = messagesOf(world)
  const { key, webhook } = webhookOf(world, params)
  const { msgtype } = read(z.object({ msgtype: z.string().default('') }), params)
  if (!Object.hasOwn(CHECKS, msgtype)) throw new Refusal(40008, 'invalid message type')
  const body = (params[msgtype] ?? {}) as Record<string, unknown>
  CHECKS[msgtype]!(world, body, key, now)
  messages.put(messages.newId('', 32), { webhook, at: now.toISOString(), msgtype, body })
  return {}
}

function uploadForGroup(world: World, call: Call): Reply {
  const { key } = webhookOf(world, call.params)
  const { type, mediaId } = uploadMedia(world, call, sceneOf(key), ['file', 'voice'])
  return { type, media_id: mediaId, created_at: String(Math.floor(call.now.getTime() / SECOND_MS)) }
}

function checkText(type: string, body: Record<string, unknown>, maxBytes: number): void {
  const { content } = read(Content, body)
  if (content === undefined) throw new Refusal(44004, 'empty content')
  checkBytes(`${type}.content`, content, maxBytes)
}

function webhookOf(world: World, params: Record<string, unknown>): { key: string; webhook: string } {
  const { key } = read(z.object({ key: OptionalText }), params)
  const webhook = world.scenario.webhooks.find((one) => webhookKey(world.seed, one) === key)
  if (key === undefined || webhook === undefined) throw new Refusal(93000, 'invalid webhook url')
  return { key, webhook: webhook.name }
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
