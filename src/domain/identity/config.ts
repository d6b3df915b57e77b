import { z } from 'zod'
import { said } from '../../said.js'

/** A value as it is written once it is normalised; the type `openid` covers every openid:<appid>. */
const Value = z.strictObject({ type: z.string(), value: z.string().min(1) })

/** `config/identity.yaml`: which identifiers may join records, and when a merge stops. */
export const IdentityConfig = z.strictObject({
  identifiers: z
    .array(
      z.strictObject({
        type: z
          .string()
          .regex(/^[a-z][a-z0-9_]*$/)
          .describe(
            said('身份类型；`openid` 代表所有 openid:<appid>', 'identifier type; `openid` covers every openid:<appid>'),
          ),
        strength: z
          .enum(['strong', 'weak'])
          .describe(
            said(
              'strong：自己就能认定一个人。weak：没有矛盾时才合并（手机可能是家里共用的）',
              'strong: one person by itself. weak: joins only what nothing contradicts (a phone may be a family phone)',
            ),
          ),
        max: z
          .number()
          .int()
          .min(1)
          .max(20)
          .describe(said('一个档案里最多几个不同的值', 'at most this many different values on one profile')),
        normalise: z
          .enum(['none', 'phone', 'lower'])
          .default('none')
          .describe(said('比较之前怎样统一写法', 'how values are written before they are compared')),
      }),
    )
    .min(1)
    .describe(
      said(
        '最可信的排最前：一条记录指向两个不能合并的档案时，排在前面的说了算',
        'most trusted first: when a record points at two profiles that may not be joined, the first one listed decides',
      ),
    ),
  agree: z
    .array(z.string())
    .default([])
    .describe(
      said(
        '弱标识合并两个档案时必须一致的特征，如 birthday',
        'traits that must not differ when a weak identifier joins two profiles, e.g. birthday',
      ),
    ),
  ignore: z
    .array(Value)
    .default([])
    .describe(
      said(
        '不属于任何人的值（收银台、测试号），加在内置的占位值（如 null）之上；大小写有别',
        'values that belong to nobody (a shop till, a test number), beside the built-in placeholders such as null; small and capital letters differ',
      ),
    ),
  allow: z
    .array(Value)
    .default([])
    .describe(
      said(
        '看着像占位、其实是某个人的值（会员号 guest、888888）；大小写有别',
        'values that look like a placeholder and are somebody’s (a member number guest, 888888); small and capital letters differ',
      ),
    ),
})
export type IdentityConfig = z.infer<typeof IdentityConfig>
