import type { LocalText } from '../../domain/local-text.js'
import type { Tag } from '../../domain/tags/definition.js'
import type { Deps } from '../runtime/deps.js'
import { countHolders } from './tag-holders.js'

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
export async function listTags(deps: Deps): Promise<{ profiles: number; tags: TagRow[] }> {
  const { docs, definitions } = deps
  const holders = await countHolders(deps)
  const tags = definitions.current.tags.map(({ id, name, type, category, refresh, owner, purpose }): TagRow => ({
    ...{ id, name, type, category, refresh, owner, purpose },
    profiles: holders.get(id) ?? 0,
  }))
  return { profiles: await docs.profiles.count({ mergedInto: { $exists: false } }), tags }
}
