import {
  type CompileOptions,
  compileExplain,
  compileTouched,
  type Explanation,
  type Touched,
  type TouchedQuery,
} from '../../domain/rules/compile.js'
import { CONSENT } from '../../domain/identity/profile.js'
import { own } from '../../parse.js'
import type { Rule } from '../../domain/rules/rule.js'
import type { LocalText } from '../../domain/local-text.js'
import { shownValue, type Tag, type TagType, tagKindOf } from '../../domain/tags/definition.js'
import type { Asked } from '../../domain/tags/kinds/kind.js'
import { notDefined } from '../definitions/not-defined.js'
import { presentInstant } from '../../stored/runtime.js'
import type { Deps } from '../runtime/deps.js'
import { findPerson, type PersonQuery } from '../identity/find-person.js'
import { askPast, findPersonAt, type PastQuery, type TagReading } from '../segments/ask-past.js'
import { segmentRule } from '../segments/segment-rule.js'
import { readFigures, readPastFigures, scopeOf } from '../segments/test-rules.js'

/** Why a profile has this value: every clause with the figure behind it. Instants are ISO 8601. */
export type TagReason = {
  id: string
  name: LocalText
  type: TagType | 'journey' | 'segment'
  profileId: number
  at: string
  /** As computed at that instant, and as last stored by then; '' is absent. */
  value: string
  stored: string
  since?: string
  /** `value`: of a choice tag, the value this case gives; `taken`: it is the one that counts. */
  cases: { value?: string; taken?: boolean; tree: Explanation }[]
  /** Of a question about an instant that has passed. */
  past?: PastReason
}

export type PastReason = {
  asItHappened: boolean
  /** Whether the rule held, or the tag had a value: that which counted then. */
  verdict: 'yes' | 'no' | 'unknown'
  /** nobody_yet: nothing was known of her, so no rule held. The others: see `WhyUnknown`. */
  why?: 'nobody_yet' | 'before_horizon' | 'under_way'
  /** From when on the past can be asked, where that is why. */
  from?: string
  /** The tags that were read, the explained one among them. */
  tags: Record<string, TagReading>
  /** How she looked. */
  person?: { traits: Record<string, string>; identifierTypes: readonly string[]; tags: Record<string, string> }
}

type Subject = Pick<TagReason, 'id' | 'name' | 'type'> & { tag?: Tag; asked: readonly Asked[] }

/** @throws {NotFoundError} when there is no such tag or person */
export async function explainTag(deps: Deps, tagId: string, person: PersonQuery, past?: PastQuery): Promise<TagReason> {
  const { tags } = deps.definitions.current
  const tag = tags.find((t) => t.id === tagId)
  if (tag === undefined) {
    throw notDefined(
      'tag',
      tagId,
      tags.map((t) => t.id),
      'siyu tags list',
    )
  }
  const { id, name, type } = tag
  return explain(deps, { id, name, type, tag, asked: tagKindOf(tag).asked(tag) }, person, past)
}

/** Whether the profile meets the entry rule of a live journey, and why. */
export async function explainEntry(
  deps: Deps,
  journeyId: string,
  person: PersonQuery,
  past?: PastQuery,
): Promise<TagReason> {
  const { journeys } = deps.definitions.current
  const journey = journeys.get(journeyId)?.journey
  if (journey === undefined) throw notDefined('journey', journeyId, [...journeys.keys()], 'siyu status')
  const { enter, name } = journey
  const rule: Rule = 'on' in enter ? (enter.if ?? { event: enter.on }) : enter.when
  return explain(deps, { id: journeyId, name, type: 'journey', asked: [{ rule }] }, person, past)
}

/** Whether the profile is in a segment, and why. */
export async function explainSegment(
  deps: Deps,
  segmentId: string,
  person: PersonQuery,
  past?: PastQuery,
): Promise<TagReason> {
  const asked = [{ rule: segmentRule(deps, segmentId) }]
  return explain(deps, { id: segmentId, name: segmentId, type: 'segment', asked }, person, past)
}

async function explain(
  deps: Deps,
  subject: Subject,
  person: PersonQuery,
  past: PastQuery | undefined,
): Promise<TagReason> {
  return past === undefined ? explainNow(deps, subject, person) : explainPast(deps, subject, person, past)
}

async function explainNow(deps: Deps, subject: Subject, person: PersonQuery): Promise<TagReason> {
  const { id, name, type, tag } = subject
  const profile = await findPerson(deps, person)
  const { segments, tags } = deps.definitions.current
  const nowMs = (await presentInstant(deps.docs.meta, deps.clock)).getTime()
  const options = { nowMs, segments, tags, scope: scopeOf([profile]) }
  const said = await lookAt(subject, options, async (query) => (await readFigures(deps, query, [profile]))[0])
  const since = tag && (await deps.docs.profileTags.get(profile._id))?.tags[tag.id]?.since
  const { value, stored, cases } = said!
  return {
    ...{ id, name, type, profileId: profile._id, at: new Date(nowMs).toISOString(), value, stored },
    ...(since === undefined ? {} : { since: since.toISOString() }),
    cases,
  }
}

async function explainPast(deps: Deps, subject: Subject, person: PersonQuery, past: PastQuery): Promise<TagReason> {
  const { id, name, type, tag, asked } = subject
  const { _id: today } = await findPerson(deps, person)
  const asItHappened = past.asItHappened === true
  const rules = asked.map((a) => a.rule)
  const found = await askPast(deps, past, {
    id,
    rule: { any: [...(tag === undefined ? [] : [{ tag: id }]), ...rules] },
  })
  const at = new Date(past.asOf).toISOString()
  const none = { id, name, type, profileId: today, at, value: '', stored: '', cases: [] }
  if ('reason' in found) {
    const { reason, ...more } = found
    return { ...none, past: { asItHappened, verdict: 'unknown', why: reason, ...more, tags: {} } }
  }
  const { options, tags } = found
  const profileId = await findPersonAt(deps, person, past)
  const scope = { kind: 'profiles', profiles: profileId === undefined ? [] : [{ profileId, aliases: [] }] } as const
  const said = await lookAt(subject, { ...options, scope }, async (query) => (await readPastFigures(deps, query))[0])
  if (profileId === undefined || said === undefined)
    return { ...none, past: { asItHappened, verdict: 'no', why: 'nobody_yet', tags } }
  const { value, stored, cases, figures } = said
  const counted = tags[id] === 'recorded' && tag !== undefined ? stored : value
  return {
    ...{ id, name, type, profileId, at, value, stored, cases },
    past: {
      ...{ asItHappened, verdict: counted === '' ? 'no' : 'yes', tags },
      person: {
        traits: withoutConsent(figures.traits),
        identifierTypes: [...figures.identifierTypes].sort(),
        tags: figures.stored,
      },
    },
  }
}

type Said = Pick<TagReason, 'value' | 'stored' | 'cases'> & { figures: Touched['figures'] }

/** @param read - the figures of the person, or nothing where there is nobody */
async function lookAt(
  { id, tag, asked }: Subject,
  options: CompileOptions,
  read: (query: TouchedQuery) => Promise<Touched | undefined>,
): Promise<Said | undefined> {
  const now = new Date(options.nowMs)
  const explaining = compileExplain({ any: asked.map((a) => a.rule) }, options)
  const seen = await read(explaining)
  if (seen === undefined) return undefined
  const { parts = [] } = explaining.explain(seen.figures)
  const trees = asked.map(({ words }, i) => (words === undefined ? parts[i]! : { ...parts[i]!, clause: words }))
  if (tag === undefined)
    return {
      ...{ value: trees[0]!.holds ? '1' : '', stored: '', cases: [{ tree: trees[0]! }] },
      figures: { ...seen.figures, stored: shown(seen.figures.stored, options) },
    }
  const valuing = compileTouched([{ id, tag }], options)
  const valued = await read(valuing)
  if (valued === undefined) return undefined
  const taken = trees.findIndex((t) => t.holds)
  return {
    value: shownValue(tag, valuing.values(valued.figures)[0]!.value, now),
    stored: shownValue(tag, own(valued.figures.stored, id) ?? '', now),
    cases: trees.map((tree, i) => {
      const value = asked[i]!.value
      return value === undefined ? { tree } : { value, taken: i === taken, tree }
    }),
    figures: { ...seen.figures, stored: shown({ ...seen.figures.stored, ...valued.figures.stored }, options) },
  }
}

function shown(stored: Touched['figures']['stored'], { tags, nowMs }: CompileOptions): Record<string, string> {
  const named = new Map(tags.map((tag) => [tag.id, tag]))
  return Object.fromEntries(
    Object.entries(stored).map(([id, value]) => [id, shownValue(named.get(id), value, new Date(nowMs))]),
  )
}

/** Consent is shown where a clause reads it. */
function withoutConsent({ [CONSENT]: _consent, ...traits }: Readonly<Record<string, string>>): Record<string, string> {
  return traits
}
