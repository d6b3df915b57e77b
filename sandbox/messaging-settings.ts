import { z } from 'zod'

/** What a scenario says about chat archiving, group webhooks and customer service. */

const Ratio = z.number().min(0).max(1)

export const Archive = z
  .strictObject({
    members: z
      .array(
        z.strictObject({
          userId: z.string(),
          edition: z
            .union([z.literal(1), z.literal(2), z.literal(3)])
            .default(3)
            .describe('1 office, 2 service, 3 enterprise'),
        }),
      )
      .default([])
      .describe('Members whose chats are archived. None: the archive is not enabled'),
    agreeRatio: Ratio.default(0.9).describe('of customers'),
    disagreeRatio: Ratio.default(0.05).describe('of customers; the rest is archived without having been asked'),
  })
  .refine((archive) => archive.agreeRatio + archive.disagreeRatio <= 1, 'the two shares add up to more than 1')

export const Webhooks = z
  .array(
    z.strictObject({
      name: z.string().min(1).max(64).describe('Of the group'),
      key: z.uuid().optional().describe('Default: from the seed'),
    }),
  )
  .refine(
    (webhooks) => new Set(webhooks.map((w) => w.name)).size === webhooks.length,
    'two webhooks have the same name',
  )

export const messagingSettings = {
  archive: Archive.default(() => Archive.parse({})),
  webhooks: Webhooks.default([]).describe('Groups with a webhook'),
}
