import { z } from 'zod'
import type { Calls } from './calls.js'
import { Characters, checkRequest, MediaId } from './content.js'
import { Cursor, List, Nothing, Text, toDate, UnixSeconds } from './wire.js'

/** Page 95096. */
const Fields = z.object({
  description: Characters(300),
  /** At most 5,000,000. */
  priceMinor: z.int().min(0).max(5_000_000),
  /** Letters and digits, at most 128. */
  sku: z
    .string()
    .regex(/^[0-9A-Za-z]{1,128}$/, '1–128 letters and digits')
    .optional(),
  /** 1 to 9 ids of `media.uploadAttachment('album', 'image', …)`. */
  mediaIds: z.array(MediaId).min(1).max(9).readonly(),
})
export type ProductFields = z.input<typeof Fields>
export type Product = Omit<ProductFields, 'mediaIds'> & { productId: string; mediaIds: string[]; createdAt?: Date }

const ProductReply = z.object({
  product_id: z.string().min(1),
  description: z.string(),
  price: z.coerce.number(),
  product_sn: Text,
  create_time: UnixSeconds.optional(),
  attachments: List(z.looseObject({ image: z.object({ media_id: Text }).nullish() })),
})
const CreatedReply = z.object({ product_id: z.string().min(1) })
const OneReply = z.object({ product: ProductReply.partial({ product_id: true }) })
const ListReply = z.object({ product_list: List(ProductReply), next_cursor: Cursor })

/** The product album that members show in chats (商品图册, page 95096). An app changes only what it made itself. */
export function albumCalls(calls: Calls) {
  const path = 'externalcontact'
  return {
    /** @returns the product's id; @throws {InvalidInputError} above a documented limit */
    async add(product: ProductFields): Promise<string> {
      const body = bodyOf(checkRequest(Fields, product, 'Product'))
      return (await calls.act(`${path}/add_product_album`, CreatedReply, body)).product_id
    },
    async get(productId: string): Promise<Product> {
      const { product } = await calls.read(`${path}/get_product_album`, OneReply, { product_id: productId })
      return toProduct({ ...product, product_id: productId })
    },
    list: (): AsyncIterable<Product[]> =>
      calls.pages(`${path}/get_product_album_list`, ListReply, { limit: 100 }, (page) => ({
        items: page.product_list.map(toProduct),
        next: page.next_cursor,
      })),
    /** Only the fields given. */
    async update(productId: string, change: Partial<ProductFields>): Promise<void> {
      const body = bodyOf(checkRequest(Fields.partial(), change, 'Product'))
      await calls.put(`${path}/update_product_album`, Nothing, { product_id: productId, ...body })
    },
    async remove(productId: string): Promise<void> {
      await calls.unless(
        ['already_done'],
        calls.put(`${path}/delete_product_album`, Nothing, { product_id: productId }),
      )
    },
  }
}

function bodyOf({ description, priceMinor, sku, mediaIds }: z.infer<ReturnType<typeof Fields.partial>>) {
  return {
    description,
    price: priceMinor,
    product_sn: sku,
    attachments: mediaIds?.map((id) => ({ type: 'image', image: { media_id: id } })),
  }
}

function toProduct(reply: z.infer<typeof ProductReply>): Product {
  const createdAt = toDate(reply.create_time)
  return {
    productId: reply.product_id,
    description: reply.description,
    priceMinor: reply.price,
    ...(reply.product_sn !== undefined && { sku: reply.product_sn }),
    mediaIds: reply.attachments.flatMap((a) => a.image?.media_id ?? []),
    ...(createdAt !== undefined && { createdAt }),
  }
}
