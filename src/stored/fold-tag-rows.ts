import { z } from 'zod'
import type { Collection, DocumentStore } from '../ports/document-store.js'
import { define } from './define.js'
import type { ProfileTags } from './tags.js'

/** Version 0.1 kept a document per profile and tag. `_id`: `<profileId>:<tagId>`. */
const TagRow = z.object({
  _id: z.string(),
  profileId: z.number(),
  tagId: z.string(),
  value: z.string(),
  since: z.date(),
})
export type TagRow = z.infer<typeof TagRow>

export const tagRows = define({
  name: 'profile_tags',
  version: 1,
  schema: TagRow,
  indexes: [{ fields: ['profileId'] }, { fields: ['tagId', 'value'] }],
})

const CHUNK = 2_000

/**
 * Brings what version 0.1 stored into one document per profile. Rows go after their document is there, and a document
 * that is there is left alone: so it may be interrupted, and run twice at a time, without losing or reviving a value.
 */
export async function foldTagRows(store: DocumentStore, profileTags: Collection<ProfileTags>): Promise<void> {
  const rows = await tagRows.open(store)
  for (;;) {
    // Rows of one profile have neighbouring ids: only the last one's may go on behind the chunk.
    const chunk = await rows.find({}, { limit: CHUNK })
    const last = chunk.at(-1)
    if (last === undefined) return
    const whole = [
      ...chunk.filter((row) => row.profileId !== last.profileId),
      ...(await rows.find({ profileId: last.profileId })),
    ]
    await profileTags.insert(fold(whole))
    await rows.delete({ _id: { $in: whole.map((row) => row._id) } })
  }
}

function fold(rows: readonly TagRow[]): ProfileTags[] {
  const byProfile = new Map<number, ProfileTags>()
  for (const { profileId, tagId, value, since } of rows) {
    const doc = byProfile.get(profileId) ?? { _id: profileId, seq: 0, at: since, tags: {} }
    doc.tags[tagId] = { v: value, since }
    if (since > doc.at) doc.at = since
    byProfile.set(profileId, doc)
  }
  return [...byProfile.values()]
}
