import type { LocalText, Tag } from '../../domain/tags/definition.js'
import { HELD } from '../../stored/tags.js'
import type { Deps } from '../runtime/deps.js'

export type TagRow = {
  id: string
  name: LocalText
  type: Tag['type']
  category: string
  refresh: string
  owner: string
  purpose: string
  /** How many profiles have a value. */
  profiles: number
}

/** Every tag with how many profiles have it, out of `profiles` in all. */
export async function listTags({ docs, definitions }: Deps): Promise<{ profiles: number; tags: TagRow[] }> {
  const tags: TagRow[] = []
  for (const { id, name, type, category, refresh, owner, purpose } of definitions.current.tags) {
    const profiles = await docs.profileTags.count({ tagId: id, ...HELD })
    tags.push({ id, name, type, category, refresh, owner, purpose, profiles })
  }
  return { profiles: await docs.profiles.count({ mergedInto: { $exists: false } }), tags }
}
