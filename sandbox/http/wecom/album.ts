import { z } from 'zod'
import { SECOND_MS } from '../../../src/time.js'
import type { App } from '../../identity.js'
import { type Objects, openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import { type Call, type Endpoints, OptionalText, read, Refusal, type Reply } from '../core/endpoint.js'
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

const PATH = '/cgi-bin/externalcontact'

/** The product album of the chat toolbar (商品图册, page 95096). */
export function albumEndpoints(world: World): Endpoints {
  return {
    [`${PATH}/add_product_album`]: { writes: true, handle: (call) => addProductAlbum(world, call) },
    [`${PATH}/get_product_album`]: { handle: (call) => getProductAlbum(world, call) },
    [`${PATH}/get_product_album_list`]: {
      empty: { product_list: [] },
      handle: (call) => getProductAlbumList(world, call),
    },
    [`${PATH}/update_product_album`]: { writes: true, handle: (call) => updateProductAlbum(world, call) },
    [`${PATH}/delete_product_album`]: { writes: true, handle: (call) => deleteProductAlbum(world, call) },
  }
}

function productsOf({ state, seed }: World): Objects<Product> {
  return openObjects<Product>(state, seed, 'product')
}

function addProductAlbum(world: World, { params, app, now }: Call): Reply {
  const products = productsOf(world)
  const { description, price, product_sn, attachments } = checked(world, params, now)
  if (description === undefined) throw new Refusal(41073, 'missing description')
  if (price === undefined) throw new Refusal(41086, 'missing price')
  if (attachments === undefined) throw new Refusal(41088, 'missing attachments')
  const id = products.newId('', 32)
  const made = { agentId: app.agentId, createdMs: now.getTime(), description, price, attachments }
  products.put(id, { ...made, ...(product_sn === undefined ? {} : { product_sn }) })
  return { product_id: id }
}

function getProductAlbum(world: World, { params }: Call): Reply {
  const { id, product } = productOf(world, params)
  return { product: toReply(id, product) }
}

function getProductAlbumList(world: World, { params }: Call): Reply {
  const products = productsOf(world)
  const { rows, next_cursor } = readPage(params, { what: 'product', fallback: 50, max: 100 }, products.list)
  return { next_cursor, product_list: rows.map(({ id, body }) => toReply(id, body)) }
}

function updateProductAlbum(world: World, { params, app, now }: Call): Reply {
  const products = productsOf(world)
  const { id, product } = ownProduct(world, params, app)
  const { product_id: _id, ...change } = checked(world, params, now)
  const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
  products.put(id, { ...product, ...given })
  return {}
}

function deleteProductAlbum(world: World, { params, app }: Call): Reply {
  const products = productsOf(world)
  products.delete(ownProduct(world, params, app).id)
  return {}
}

function checked(world: World, params: Record<string, unknown>, now: Date): z.infer<typeof ProductBody> {
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

function productOf(world: World, params: Record<string, unknown>): { id: string; product: Product } {
  const products = productsOf(world)
  const { product_id: id } = read(z.object({ product_id: OptionalText }), params)
  const product = id === undefined ? undefined : products.get(id)
  if (id === undefined || product === undefined) throw new Refusal(41075, 'invalid product_id')
  return { id, product }
}

function ownProduct(world: World, params: Record<string, unknown>, app: App): { id: string; product: Product } {
  const found = productOf(world, params)
  if (found.product.agentId !== app.agentId) throw new Refusal(48002, 'api forbidden')
  return found
}

function toReply(id: string, { agentId: _agentId, createdMs, ...product }: Product) {
  return { product_id: id, ...product, create_time: Math.floor(createdMs / SECOND_MS) }
}
