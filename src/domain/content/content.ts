import { z } from 'zod'

/** `config/content/*.yaml`: words and links, by id. Texts are Liquid templates. */
export const Content = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9-]*$/, 'a content id is lower case with dashes'),
  text: z
    .string()
    .min(1)
    .max(4000)
    .describe("message or script; Liquid: {{ brand }}, and in a guide's script {{ coupon }}"),
  link: z
    .strictObject({
      title: z.string().min(1).max(42),
      path: z.string().regex(/^\//, 'a path starts with /'),
      description: z.string().max(170).optional(),
    })
    .describe('card under the text; every send gets a link of its own')
    .optional(),
  coupon: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/)
    .describe('pool of codes that one is taken from')
    .optional(),
})
export type Content = z.infer<typeof Content>

export const ContentFile = z.strictObject({ contents: z.array(Content) })

/** A pool of coupon codes; one code per customer. */
export const CouponPool = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9-]*$/),
  codes: z.array(z.string().min(4).max(64)).optional().describe('the codes themselves'),
  generate: z
    .strictObject({ prefix: z.string().regex(/^[A-Z0-9]{1,8}$/), count: z.number().int().min(1).max(1_000_000) })
    .optional()
    .describe('or: make this many codes, the same ones every time'),
})
export type CouponPool = z.infer<typeof CouponPool>

export const CouponFile = z.strictObject({ pools: z.array(CouponPool) })
