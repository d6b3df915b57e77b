import { z } from 'zod'
import { SECOND_MS } from '../../../src/time.js'
import type { App } from '../../identity.js'
import { openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import { type Endpoints, OptionalText, read, Refusal } from '../core/endpoint.js'
import { checkMedia } from './media.js'
import { readPage } from '../core/pages.js'

/** Page 95096. */
const MAX_DESCRIPTION_CHARS = 300
const MAX_PRICE_FEN = 5_000_000
const MAX_PICTURES = 9

type Product = {
  agentId: number
  createdMs: number
  description: string
  price: number
  product_sn?: string
  attachments: { type: 'image'; image: { media_id: string } }[]
}
const ProductBody = z.object({
  product_id: OptionalText,
  description: OptionalText,
  price: z.number().optional(),
  product_sn: OptionalText,
  attachments: z.array(z.object({ type: z.literal('image'), image: z.object({ media_id: z.string() }) })).optional(),
})

/** The product album of the chat toolbar (商品图册, page 95096). */
export function albumEndpoints(world: World): Endpoints {
  const products = openObjects<Product>(world.state, world.seed, 'product')
  const path = '/cgi-bin/externalcontact'
  return {
    [`${path}/add_product_album`]: {
      writes: true,
      handle: ({ params, app, now }) => {
        const { description, price, product_sn, attachments } = checked(params, now)
        if (description === undefined) throw new Refusal(41073, 'missing description')
        if (price === undefined) throw new Refusal(41086, 'missing price')
        if (attachments === undefined) throw new Refusal(41088, 'missing attachments')
        const id = products.newId('', 32)
        const made = { agentId: app.agentId, createdMs: now.getTime(), description, price, attachments }
        products.put(id, { ...made, ...(product_sn === undefined ? {} : { product_sn }) })
        return { product_id: id }
      },
    },
    [`${path}/get_product_album`]: {
      handle: ({ params }) => {
        const { id, product } = productOf(params)
        return { product: toReply(id, product) }
      },
    },
    [`${path}/get_product_album_list`]: {
      empty: { product_list: [] },
      handle: ({ params }) => {
        const { rows, next_cursor } = readPage(params, { what: 'product', fallback: 50, max: 100 }, products.list)
        return { next_cursor, product_list: rows.map(({ id, body }) => toReply(id, body)) }
      },
    },
    [`${path}/update_product_album`]: {
      writes: true,
      handle: ({ params, app, now }) => {
        const { id, product } = ownProduct(params, app)
        const { product_id: _id, ...change } = checked(params, now)
        const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
        products.put(id, { ...product, ...given })
        return {}
      },
    },
    [`${path}/delete_product_album`]: {
      writes: true,
      handle: ({ params, app }) => {
        products.delete(ownProduct(params, app).id)
        return {}
      },
    },
  }

  function checked(params: Record<string, unknown>, now: Date): z.infer<typeof ProductBody> {
    const body = read(ProductBody, params)
    const { description, price, product_sn, attachments } = body
    if (description !== undefined && [...description].length > MAX_DESCRIPTION_CHARS)
      throw new Refusal(41087, 'description out of limit')
    if (price !== undefined && (!Number.isInteger(price) || price < 0 || price > MAX_PRICE_FEN))
      throw new Refusal(41086, 'invalid price')
    if (product_sn !== undefined && !/^[0-9A-Za-z]{1,128}$/.test(product_sn))
      throw new Refusal(41085, 'invalid product_sn')
    if (attachments !== undefined) {
      if (attachments.length === 0) throw new Refusal(41088, 'attachments empty')
      if (attachments.length > MAX_PICTURES) throw new Refusal(41064, 'attachments count out of limit')
      for (const { image } of attachments) checkMedia(world, image.media_id, now, 'image', 'album')
    }
    return body
  }

  function productOf(params: Record<string, unknown>): { id: string; product: Product } {
    const { product_id: id } = read(z.object({ product_id: OptionalText }), params)
    const product = id === undefined ? undefined : products.get(id)
    if (id === undefined || product === undefined) throw new Refusal(41075, 'invalid product_id')
    return { id, product }
  }

  function ownProduct(params: Record<string, unknown>, app: App): { id: string; product: Product } {
    const found = productOf(params)
    if (found.product.agentId !== app.agentId) throw new Refusal(48002, 'api forbidden')
    return found
  }
}

function toReply(id: string, { agentId: _agentId, createdMs, ...product }: Product) {
  return { product_id: id, ...product, create_time: Math.floor(createdMs / SECOND_MS) }
}
