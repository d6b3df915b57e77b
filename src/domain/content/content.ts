import { z } from 'zod'
import { said } from '../../said.js'

/** Of a text, in UTF-8. @see 创建企业群发, developer.work.weixin.qq.com/document/path/92135 (read 2026-08) */
export const TEXT_MAX_BYTES = 4_000

/** `config/content/*.yaml`: words and links, by id. Texts are Liquid templates. */
export const Content = z.strictObject({
  id: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, said('内容 id 用小写字母、数字和短横', 'a content id is lower case with dashes')),
  text: z
    .string()
    .min(1)
    .max(4000)
    .describe(
      said(
        '消息或话术；Liquid 变量：{{ brand }}，导购话术里还有 {{ coupon }}',
        "message or script; Liquid: {{ brand }}, and in a guide's script {{ coupon }}",
      ),
    ),
  link: z
    .strictObject({
      title: z.string().min(1).max(42),
      path: z.string().max(1_000).regex(/^\//, said('路径以 / 开头', 'a path starts with /')),
      description: z.string().max(170).optional(),
    })
    .describe(said('文字下面的卡片；每次发送都有自己的链接', 'card under the text; every send gets a link of its own'))
    .optional(),
  coupon: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/)
    .describe(said('从这个券池取一个码', 'pool of codes that one is taken from'))
    .optional(),
})
export type Content = z.infer<typeof Content>

export const ContentFile = z.strictObject({ contents: z.array(Content) })

/** What a row of a guide's card holds: half a code is none. @see developer.work.weixin.qq.com/document/path/90236 (read 2026-08) */
const CODE_MAX = 30

/** A pool of coupon codes; one code per customer. */
export const CouponPool = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9-]*$/),
  codes: z
    .array(
      z
        .string()
        .min(4)
        .max(
          CODE_MAX,
          said(`导购的卡片只显示 ${CODE_MAX} 个字符`, `a guide's card shows ${CODE_MAX} characters of a code`),
        ),
    )
    .optional()
    .describe(said('券码', 'the codes themselves')),
  generate: z
    .strictObject({ prefix: z.string().regex(/^[A-Z0-9]{1,8}$/), count: z.number().int().min(1).max(1_000_000) })
    .optional()
    .describe(said('或：生成这么多个码，每次都一样', 'or: make this many codes, the same ones every time')),
})
export type CouponPool = z.infer<typeof CouponPool>

export const CouponFile = z.strictObject({ pools: z.array(CouponPool) })
