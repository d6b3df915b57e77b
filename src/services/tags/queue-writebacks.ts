import { writebackTargets } from '../../domain/tags/writeback.js'
import { relationId } from '../../domain/wecom/relation.js'
import { DAY_MS, SECOND_MS } from '../../time.js'
import type { OwnedEvent } from '../../stored/ingest.js'
import { HELD } from '../../stored/tags.js'
import type { Deps } from '../runtime/deps.js'

type QueueDeps = Pick<Deps, 'docs' | 'clock' | 'definitions'>
type Entry = { userId: string; externalUserId: string; tagIds?: readonly string[]; wayKeys?: readonly string[] }

/** Changes that follow one another within this long are one push. */
const COALESCE_MS = 10 * SECOND_MS
/** Who arrived longer ago, as a first full sync tells of, gets no tags of her way any more. */
const ARRIVAL_MS = 2 * DAY_MS

/** Ids of the tags that are pushed to WeCom. */
export function writebackTagIds({ definitions }: Pick<Deps, 'definitions'>): Set<string> {
  return new Set(definitions.current.tags.filter((t) => writebackTargets(t).length > 0).map((t) => t.id))
}

/** Values changed: every member who has these people is to show it. Repeating it adds nothing. */
export async function queueTagChanges(
  deps: QueueDeps,
  changes: readonly { profileId: number; tagId: string }[],
): Promise<void> {
  const tagsOf = new Map<number, string[]>()
  for (const { profileId, tagId } of changes) tagsOf.set(profileId, [...(tagsOf.get(profileId) ?? []), tagId])
  const profiles = await deps.docs.profiles.getMany([...tagsOf.keys()])
  const entries = profiles.flatMap((p) =>
    p.contacts
      .filter((c) => c.endedAt === undefined)
      .map(({ userId, externalUserId }) => ({ userId, externalUserId, tagIds: tagsOf.get(p._id)! })),
  )
  await queue(deps, entries, new Date(deps.clock.now().getTime() + COALESCE_MS))
}

/** Customers were added: their new member is to see the tags they have already, and those of the way they came by. */
export async function queueArrivals(deps: QueueDeps, events: readonly OwnedEvent[]): Promise<void> {
  const now = deps.clock.now()
  const arrivals = events.flatMap(({ name, profileId, occurredAt, properties }) => {
    const { userId, externalUserId, state } = properties as {
      userId?: unknown
      externalUserId?: unknown
      state?: unknown
    }
    if (name !== 'contact_added' || typeof userId !== 'string' || typeof externalUserId !== 'string') return []
    const channel = typeof state === 'string' && occurredAt.getTime() > now.getTime() - ARRIVAL_MS ? state : undefined
    return [{ profileId, userId, externalUserId, channel }]
  })
  if (arrivals.length === 0) return
  const channels = [...new Set(arrivals.flatMap((a) => a.channel ?? []))]
  const ways = channels.length === 0 ? [] : await deps.docs.wecomWays.find({ channel: { $in: channels } })
  const wayOf = new Map(ways.map((w) => [w.channel, w._id]))
  const pushed = [...writebackTagIds(deps)]
  const held =
    pushed.length === 0
      ? []
      : await deps.docs.profileTags.find({
          profileId: { $in: [...new Set(arrivals.map((a) => a.profileId))] },
          tagId: { $in: pushed },
          ...HELD,
        })
  const entries = arrivals.flatMap(({ profileId, userId, externalUserId, channel }): Entry[] => {
    const wayKey = channel === undefined ? undefined : wayOf.get(channel)
    const tagIds = held.filter((t) => t.profileId === profileId).map((t) => t.tagId)
    if (tagIds.length === 0 && wayKey === undefined) return []
    return [{ userId, externalUserId, tagIds, wayKeys: wayKey === undefined ? [] : [wayKey] }]
  })
  await queue(deps, entries, now)
}

async function queue({ docs }: QueueDeps, entries: readonly Entry[], nextAt: Date): Promise<void> {
  await docs.writebacks.updateEach(
    entries.map(({ userId, externalUserId, tagIds = [], wayKeys = [] }) => ({
      id: relationId(userId, externalUserId),
      update: {
        $set: { userId, externalUserId },
        $min: { nextAt },
        $addToSet: { tagIds: { $each: [...tagIds] }, wayKeys: { $each: [...wayKeys] } },
        $inc: { rev: 1 },
        $unset: { parked: 1 },
        $setOnInsert: { attempts: 0 },
      },
      upsert: true,
    })),
  )
}
