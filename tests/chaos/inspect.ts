import { createWecomClient } from '../../src/adapters/wecom/client.js'
import { quietLog } from '../../src/log.js'
import { HELD } from '../../src/stored/tags.js'
import type { Company } from './company.js'

/** One follow relation as both sides can be compared. Tag ids in order. */
export type RelationLine = { relation: string; remark: string; tags: string }

/** What the API shows of the world, read by a client of its own while nothing goes wrong. */
export async function shownByApi({ sandbox }: Company): Promise<RelationLine[]> {
  const client = createWecomClient({
    baseUrl: sandbox.url,
    corpId: sandbox.corpId,
    agentId: sandbox.app.agentId,
    secret: sandbox.app.secret,
    clock: { now: () => sandbox.now() },
    pause: () => Promise.resolve(),
    log: quietLog,
  })
  try {
    const lines: RelationLine[] = []
    for (const userId of await client.contacts.followUsers()) {
      for (const externalUserId of await client.contacts.list(userId)) {
        const detail = await client.contacts.get(externalUserId)
        const follow = detail?.follow_user.find((f) => f.userid === userId)
        if (follow === undefined) throw new Error(`${userId} lists ${externalUserId} but does not follow her`)
        lines.push({
          relation: `${userId}/${externalUserId}`,
          remark: follow.remark ?? '',
          tags: follow.tags
            .flatMap((t) => t.tag_id ?? [])
            .sort()
            .join(),
        })
      }
    }
    return lines.sort(byRelation)
  } finally {
    client.close()
  }
}

/** What our mirror holds as standing relations; those the customer ended stay readable on the platform. */
export async function mirrored({ app }: Company): Promise<RelationLine[]> {
  const relations = await app.deps.docs.wecomRelations.find({ state: { $in: ['active', 'lost'] } })
  return relations
    .map((r) => ({
      relation: `${r.userId}/${r.externalUserId}`,
      remark: r.follow.remark ?? '',
      tags: [...r.follow.tagIds].sort().join(),
    }))
    .sort(byRelation)
}

/** `<userId>/<externalUserId>` of those that profiles hold as standing. */
export async function heldByProfiles({ app }: Company): Promise<string[]> {
  const profiles = await app.deps.docs.profiles.find({ mergedInto: { $exists: false } })
  return profiles
    .flatMap((p) => p.contacts.filter((c) => c.endedAt === undefined).map((c) => `${c.userId}/${c.externalUserId}`))
    .sort()
}

/** Tags that ought to be on each relation because rules say so, by name of the corp tag. */
export async function owedTags({ app }: Company): Promise<Map<string, string[]>> {
  const { docs } = app.deps
  const owed = new Map<string, string[]>()
  for (const profile of await docs.profiles.find({ mergedInto: { $exists: false } })) {
    const values = await docs.profileTags.find({ profileId: profile._id, ...HELD })
    const names = values.flatMap(({ tagId, value }) =>
      tagId === 'was_written_to'
        ? ['自动/已触达']
        : tagId === 'interest'
          ? [`兴趣/${value === 'keen' ? '高' : '中'}`]
          : [],
    )
    for (const contact of profile.contacts) {
      if (contact.endedAt === undefined) owed.set(`${contact.userId}/${contact.externalUserId}`, names.sort())
    }
  }
  return owed
}

/** Everything that occurs more than once, with how often. */
export function repeated(keys: readonly string[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return [...counts].filter(([, n]) => n > 1)
}

/** How often the platform refused for a limit though no fault was asked for. */
export async function brokenLimits({ sandbox }: Company): Promise<Record<string, number>> {
  const reply = await fetch(`${sandbox.url}/control/calls`, {
    headers: { Authorization: `Bearer ${sandbox.controlKey}` },
  })
  const { byPath } = (await reply.json()) as { byPath: Record<string, { byCode: Record<string, number> }> }
  const codes = ['45009', '45033', '41094']
  return Object.fromEntries(
    Object.entries(byPath).flatMap(([path, { byCode }]) => {
      const n = codes.reduce((sum, code) => sum + (byCode[code] ?? 0), 0)
      return n === 0 ? [] : [[path, n]]
    }),
  )
}

function byRelation(a: RelationLine, b: RelationLine): number {
  return a.relation < b.relation ? -1 : 1
}
