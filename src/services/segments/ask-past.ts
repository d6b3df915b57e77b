import { z } from 'zod'
import { said } from '../../said.js'
import { identityChangesTable } from '../../domain/events/tables.js'
import { identityUnit, profileUnit } from '../../domain/identity/identity-unit.js'
import { linkKey } from '../../domain/identity/resolve.js'
import { type CompileOptions, type Evaluable, readsOf } from '../../domain/rules/compile.js'
import type { Rule } from '../../domain/rules/rule.js'
import { literal, SMALL_QUERY } from '../../domain/rules/sql.js'
import { InvalidInputError } from '../../errors.js'
import { publishedTagIds } from '../definitions/publish-definitions.js'
import { exactly, findPerson, type PersonQuery, usableIdentifier } from '../identity/find-person.js'
import { closePast } from '../../stored/runtime.js'
import { pastHorizon } from '../runtime/date-past.js'
import type { Deps } from '../runtime/deps.js'
import { plansUnderWay } from '../tags/claim-profiles.js'

/** A question about an instant that has passed. */
export const PastQuery = z.strictObject({
  asOf: z.iso
    .datetime({ offset: true })
    .describe(said('哪一刻，如 2026-11-01T10:00:00+08:00', 'the instant, e.g. 2026-11-01T10:00:00+08:00')),
  asItHappened: z
    .boolean()
    .default(false)
    .describe(
      said(
        '按当时已经发生的，不管何时得知；不写则按当时所知的',
        'by what had happened by then, whenever it was heard of; otherwise by what was known then',
      ),
    ),
})
export type PastQuery = z.input<typeof PastQuery>

/** Whether a rule read a tag as it stood then, or worked it out: it did not exist then, or everything is worked out anew. */
export type TagReading = 'recorded' | 'computed'

/** before_horizon: `from` is when the past begins. under_way: work that counts as of before is not done yet. */
export type WhyUnknown = { reason: 'before_horizon'; from: string } | { reason: 'under_way' }

export type Past = {
  options: Pick<CompileOptions, 'nowMs' | 'segments' | 'tags' | 'knowledge' | 'computed'>
  tags: Record<string, TagReading>
}

/**
 * How to compile what is asked about the past. Rules and segments are those of today.
 *
 * @throws {InvalidInputError} for an instant that is still to come
 */
export async function askPast(
  deps: Deps,
  { asOf, asItHappened }: PastQuery,
  asked: Evaluable,
): Promise<Past | WhyUnknown> {
  const { tags, segments } = deps.definitions.current
  const at = new Date(asOf)
  if (at > deps.clock.now())
    throw new InvalidInputError(said('不能问这个时刻', 'The past cannot be asked'), [
      {
        path: 'asOf',
        message: said(`${asOf} 还没到`, `${asOf} is still to come`),
        hint: said('给一个过去的时刻', 'give an instant that has passed'),
      },
    ])
  const horizon = await pastHorizon(deps)
  if (horizon !== undefined && at < horizon.from) return { reason: 'before_horizon', from: horizon.from.toISOString() }
  const known = asItHappened === true ? new Set<string>() : await publishedTagIds(deps, at)
  const computed = tags.flatMap((tag): Evaluable[] => (known.has(tag.id) ? [] : [{ id: tag.id, tag }]))
  const read = readingsOf(asked, segments, computed)
  if (asItHappened !== true && (await isUnderWay(deps, at, Object.values(read).includes('recorded'))))
    return { reason: 'under_way' }
  const knowledge = asItHappened === true ? 'happened' : 'then'
  return { options: { nowMs: at.getTime(), segments, tags, knowledge, computed }, tags: read }
}

/** Who this person was: of people who were found to be one later, the one that is named. @throws {NotFoundError} when there is nobody now */
export async function findPersonAt(deps: Deps, asked: PersonQuery, past: PastQuery): Promise<number | undefined> {
  const person = await exactly(deps, asked)
  const today = await findPerson(deps, person)
  if (past.asItHappened === true) return today._id
  const unit =
    'profileId' in person
      ? profileUnit(person.profileId)
      : identityUnit(linkKey(usableIdentifier(deps, person.identifier)))
  const [owner] = await deps.events.query(
    `SELECT argMax(profile_id, (known_at, seq)) AS id FROM ${identityChangesTable.name}
     WHERE unit = ${literal(unit)} AND known_at <= fromUnixTimestamp64Milli(${new Date(past.asOf).getTime()}, 'UTC')
     HAVING count() > 0 ${SMALL_QUERY}`,
    z.object({ id: z.number() }),
  )
  return owner?.id
}

/** Every tag that is read, also by tags that are worked out, in order of the ids. */
function readingsOf(
  asked: Evaluable,
  segments: ReadonlyMap<string, Rule>,
  computed: readonly Evaluable[],
): Record<string, TagReading> {
  const anew = new Map(computed.map((e) => [e.id, e]))
  const read = new Set(readsOf(asked, segments).tags)
  for (const id of read) {
    const tag = anew.get(id)
    if (tag !== undefined) for (const other of readsOf(tag, segments).tags) read.add(other) // walked too, as it is added
  }
  return Object.fromEntries([...read].sort().map((id) => [id, anew.has(id) ? 'computed' : 'recorded']))
}

const NEVER = new Date(8.64e15)

/** Whether rows are still to be written that count as known by `at`: until then the answer may change. */
async function isUnderWay(deps: Deps, at: Date, readsTags: boolean): Promise<boolean> {
  // First: a plan that is stored after we looked is of later.
  await closePast(deps.docs.meta, at)
  if ((await plansUnderWay(deps)).some((plan) => (plan.takenOver ?? plan).now <= at)) return true
  if (!readsTags) return false
  const refreshes = await deps.docs.refreshes.find({ phase: { $ne: 'done' } })
  // One that opens has its instant, and its number perhaps a moment ago.
  return refreshes.some(({ knownAt, now }) => (knownAt ?? now ?? NEVER) <= at)
}
