import { z } from 'zod'
import { define } from './define.js'

/** A published version of a journey, or of all files of another kind together; runs of a journey stay on theirs. */
export const PublishedDefinition = z.object({
  _id: z.string(),
  /** `journey`, or the name of the kind. */
  kind: z.string(),
  /** Of the journey; `all` for the others. */
  id: z.string(),
  version: z.number(),
  hash: z.string(),
  /** As it was written: a journey as data, others as JSON text, whose keys may hold any character. Read by its kind. */
  value: z.unknown(),
  publishedAt: z.date(),
})
export type PublishedDefinition = z.infer<typeof PublishedDefinition>

export const definitionsCollections = {
  published: define({
    name: 'published',
    version: 1,
    schema: PublishedDefinition,
    indexes: [{ fields: ['kind', 'id', 'version'] }],
  }),
}
