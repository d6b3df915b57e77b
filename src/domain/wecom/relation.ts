import { z } from 'zod'
import type { OwnSource } from '../events/sources.js'
import { systemEvent } from '../events/system-events.js'
import type { SourceRecordInput } from '../events/record.js'
import { byOwnership } from '../identity/profile.js'
import { hashKey } from '../../random.js'

/** What the platform shows of a customer to everybody who has her. */
export const WecomContact = z.object({
  name: z.string().optional(),
  avatar: z.string().optional(),
  /** 1 WeChat user, 2 WeCom user. */
  type: z.number().optional(),
  /** 0 unknown, 1 male, 2 female. */
  gender: z.number().optional(),
  unionId: z.string().optional(),
})
export type WecomContact = z.infer<typeof WecomContact>

/** One customer as one member knows her: what details and batches both tell. The member's own tags are not among it. */
export const Relation = z.object({
  userId: z.string(),
  externalUserId: z.string(),
  contact: WecomContact,
  follow: z.object({
    /** When this member added her; to the second. */
    addedAt: z.date(),
    remark: z.string().optional(),
    description: z.string().optional(),
    /** What the member typed: evidence, not proof. */
    mobiles: z.array(z.string()),
    /** Corp tags and tags of rule groups, sorted. */
    tagIds: z.array(z.string()),
    addWay: z.number().optional(),
    /** Channel code of the contact way or acquisition link. */
    state: z.string().optional(),
    /** Who began it: the member, the customer, or who assigned her. */
    operUserId: z.string().optional(),
  }),
})
export type Relation = z.infer<typeof Relation>

/**
 * `active`: both have each other. `lost`: the customer deleted the member, who still has her; the platform goes on showing
 * it. `ended`: the platform shows it no more.
 */
export const RelationState = z.enum(['active', 'lost', 'ended'])
export type RelationState = z.infer<typeof RelationState>

export function relationId(userId: string, externalUserId: string): string {
  return `${userId}/${externalUserId}`
}

/** The same for the same content, wherever it was read. */
export function relationHash({ contact, follow }: Pick<Relation, 'contact' | 'follow'>): string {
  const { name, avatar, type, gender, unionId } = contact
  const { addedAt, remark, description, mobiles, tagIds, addWay, state, operUserId } = follow
  return hashKey(
    16,
    JSON.stringify([
      [name, avatar, type, gender, unionId],
      [addedAt.getTime(), remark, description, mobiles, tagIds, addWay, state, operUserId],
    ]),
  )
}

/**
 * A corp tag as rules name it, `等级/重要`, in the trait `wecom_tags`: `{ trait: wecom_tags, has: 等级/重要 }`. The trait lists
 * them with commas, so a comma in a name is written as the wide one.
 */
export function wecomTagName(group: string, name: string): string {
  return (group === '' ? name : `${group}/${name}`).replaceAll(',', '，')
}

const GENDERS: Readonly<Record<number, string>> = { 1: 'male', 2: 'female' }
const MAX_IDENTIFIERS = 50

/**
 * One record per customer: identifiers, traits, and one `contact_added` per relation, whose id rests on the time of the
 * relation, so that a full sync and a callback tell the same event.
 *
 * @param relations - every one of hers that is known, in any order, at least one; traits come from those that stand
 * @param now - when it was read
 * @param tagNames - `wecomTagName` of corp tags by id; tags without a known name are listed by id
 */
export function contactRecord(
  relations: readonly (Relation & { state?: RelationState; backAt?: Date; ownerSince?: Date })[],
  now: Date,
  tagNames: ReadonlyMap<string, string> = new Map(),
): SourceRecordInput {
  const inOrder = [...relations].sort(
    (a, b) => a.follow.addedAt.getTime() - b.follow.addedAt.getTime() || (a.userId < b.userId ? -1 : 1),
  )
  const standing = inOrder.filter((r) => r.state === undefined || r.state === 'active')
  const owning = (r: (typeof inOrder)[number]) => ({ ...r, since: r.follow.addedAt })
  const owner = [...standing].sort((a, b) => byOwnership(owning(a), owning(b)))[0]
  const [first] = inOrder
  if (first === undefined) throw new RangeError('a contact without a relation is nobody’s contact')
  const { externalUserId } = first
  // The newest relation was read last, or at least holds what was true when she was added last.
  const contact = inOrder.reduce<WecomContact>((all, r) => ({ ...all, ...r.contact }), {})
  const phones = unique(inOrder.flatMap((r) => r.follow.mobiles.map((phone) => phone.trim()))).filter((p) => p !== '')
  const gender = GENDERS[contact.gender ?? 0]
  const tags = unique(standing.flatMap((r) => r.follow.tagIds).map((id) => tagNames.get(id) ?? id)).sort()
  return {
    ref: `wecom:${externalUserId}`,
    source: 'wecom' satisfies OwnSource,
    observedAt: now,
    identifiers: [
      { type: 'external_userid', value: externalUserId },
      ...(contact.unionId === undefined ? [] : [{ type: 'unionid', value: contact.unionId }]),
      ...phones.map((value) => ({ type: 'phone', value })),
    ].slice(0, MAX_IDENTIFIERS),
    traits: {
      ...(contact.name && { name: contact.name }),
      ...(gender !== undefined && { gender }),
      ...(contact.avatar && { avatar: contact.avatar }),
      // The member who has known her longest, or took that one's place; null takes back what an earlier sync said.
      wecom_owner: owner?.userId ?? null,
      wecom_followers: listOf(standing.map((r) => r.userId)),
      wecom_tags: listOf(tags),
    },
    events: inOrder.map(({ userId, follow, backAt = follow.addedAt }) =>
      systemEvent('contact_added', {
        id: `wecom:add:${externalUserId}:${userId}:${backAt.getTime() / 1000}`,
        occurredAt: backAt,
        properties: {
          userId,
          externalUserId,
          ...(follow.addWay !== undefined && { addWay: follow.addWay }),
          ...(follow.state && { state: follow.state }),
        },
      }),
    ),
  }
}

function unique(items: readonly string[]): string[] {
  return [...new Set(items)]
}

/** A trait holds one value: a list becomes text, `null` when empty. */
function listOf(items: readonly string[]): string | null {
  return items.length === 0 ? null : items.join(',')
}
