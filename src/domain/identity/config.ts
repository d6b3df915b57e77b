import { z } from 'zod'

/** `config/identity.yaml`: which identifiers may join records, and when a merge stops. */
export const IdentityConfig = z.strictObject({
  identifiers: z
    .array(
      z.strictObject({
        type: z
          .string()
          .regex(/^[a-z][a-z0-9_]*$/)
          .describe('identifier type; `openid` covers every openid:<appid>'),
        strength: z
          .enum(['strong', 'weak'])
          .describe(
            'strong: one person by itself. weak: joins only what nothing contradicts (a phone may be a family phone)',
          ),
        max: z.number().int().min(1).max(20).describe('at most this many different values on one profile'),
        normalise: z
          .enum(['none', 'phone', 'lower'])
          .default('none')
          .describe('how values are written before they are compared'),
      }),
    )
    .min(1)
    .describe(
      'most trusted first: when a record points at two profiles that may not be joined, the first one listed decides',
    ),
  agree: z
    .array(z.string())
    .default([])
    .describe('traits that must not differ when a weak identifier joins two profiles, e.g. birthday'),
  ignore: z
    .array(z.strictObject({ type: z.string(), value: z.string() }))
    .default([])
    .describe('values that belong to nobody (a shop till, a test number)'),
})
export type IdentityConfig = z.infer<typeof IdentityConfig>
