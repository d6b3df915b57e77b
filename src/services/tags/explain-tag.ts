import type { Profile } from '../../domain/identity/profile.js'
import {
  type CompileOptions,
  compileExplain,
  compileTouched,
  describeRule,
  type Explanation,
} from '../../domain/rules/compile.js'
import type { Aggregate, Rule } from '../../domain/rules/rule.js'
import type { LocalText, Tag } from '../../domain/tags/definition.js'
import { instantsOf, shownValue } from '../../domain/tags/instants.js'
import { NotFoundError } from '../../errors.js'
import { nearest } from '../../yaml-file.js'
import type { Deps } from '../runtime/deps.js'
import { findPerson, type PersonQuery } from '../identity/find-person.js'
import { readFigures, scopeOf } from '../segments/test-rules.js'

/** Why a profile has this value: every clause with the figure behind it. Instants are ISO 8601. */
export type TagReason = {
  id: string
  name: LocalText
  type: Tag['type'] | 'journey'
  profileId: number
  at: string
  /** As computed now, and as last stored; '' is absent. */
  value: string
  stored: string
  since?: string
  /** `value`: of a choice tag, the value this case gives; `taken`: it is the one that counts. */
  cases: { value?: string; taken?: boolean; tree: Explanation }[]
}

/** @throws {NotFoundError} when there is no such tag or person */
export async function explainTag(deps: Deps, tagId: string, person: PersonQuery): Promise<TagReason> {
  const { tags } = deps.definitions.current
  const tag = tags.find((t) => t.id === tagId)
  if (tag === undefined) {
    throw missing(
      '标签 tag',
      tagId,
      tags.map((t) => t.id),
      'siyu tags list',
    )
  }
  const profile = await findPerson(deps, person)
  const options = optionsFor(deps, profile)
  const query = compileTouched([{ id: tag.id, tag }], options)
  const touched = await readFigures(deps, query, [profile])
  const stored = touched[0]?.figures.stored[tag.id] ?? ''
  const value = query.deltas(touched)[0]?.new ?? stored
  const since = (await deps.docs.profileTags.get(profile._id))?.tags[tag.id]?.since
  const trees = await explainRules(deps, profile, options, rulesOf(tag))
  const now = new Date(options.nowMs)
  const values = tag.type === 'choice' ? tag.cases.map((c) => c.value) : []
  const taken = trees.findIndex((t) => t.holds)
  return {
    id: tag.id,
    name: tag.name,
    type: tag.type,
    profileId: profile._id,
    at: now.toISOString(),
    value: shownValue(options.instants, tag.id, value, now),
    stored: shownValue(options.instants, tag.id, stored, now),
    ...(since === undefined ? {} : { since: since.toISOString() }),
    cases: trees.map((tree, i) =>
      values[i] === undefined ? { tree } : { value: values[i], taken: i === taken, tree },
    ),
  }
}

/** Whether the profile meets the entry rule of a live journey, and why. */
export async function explainEntry(deps: Deps, journeyId: string, person: PersonQuery): Promise<TagReason> {
  const { journeys } = deps.definitions.current
  const journey = journeys.get(journeyId)?.journey
  if (journey === undefined) throw missing('旅程 journey', journeyId, [...journeys.keys()], 'siyu publish')
  const profile = await findPerson(deps, person)
  const options = optionsFor(deps, profile)
  const { enter } = journey
  const rule: Rule = 'on' in enter ? (enter.if ?? { event: enter.on }) : enter.when
  const [tree] = await explainRules(deps, profile, options, [{ rule }])
  return {
    id: journeyId,
    name: journey.name,
    type: 'journey',
    profileId: profile._id,
    at: new Date(options.nowMs).toISOString(),
    value: tree!.holds ? '1' : '',
    stored: '',
    cases: [{ tree: tree! }],
  }
}

function missing(what: string, id: string, known: readonly string[], where: string): NotFoundError {
  const near = nearest(id, known)
  return new NotFoundError(
    `没有这个${what} "${id}" → ${near === undefined ? `有哪些 what there is: ${where}` : `是不是 did you mean "${near}"?`}`,
  )
}

function optionsFor(deps: Deps, profile: Profile): CompileOptions {
  const { segments, tags } = deps.definitions.current
  return { nowMs: deps.clock.now().getTime(), segments, instants: instantsOf(tags), scope: scopeOf([profile]) }
}

/** A rule to explain, and the words for it where the rule file has others. */
type Asked = { rule: Rule; words?: string }

function rulesOf(tag: Tag): Asked[] {
  switch (tag.type) {
    case 'flag':
      return [{ rule: tag.when }]
    case 'choice':
      return tag.cases.map((c) => ({ rule: c.when }))
    case 'text':
      return [{ rule: { trait: tag.trait } }]
    case 'number': {
      const value = tag.value === undefined ? [] : [askedOf(tag.value)]
      const points = (tag.score?.points ?? []).map(({ weight, ...aggregate }) => askedOf(aggregate, weight))
      const unless = tag.score?.unless === undefined ? [] : [{ rule: { not: tag.score.unless } }]
      return [...value, ...points, ...unless]
    }
  }
}

/** Bounds that every number meets, so that the clause shows its figure and asks nothing of it. */
const ANY = { gte: Number.MIN_SAFE_INTEGER }

function askedOf({ count: _count, sum, daysSince, ...windowed }: Aggregate, weight?: number): Asked {
  const rule: Rule =
    sum !== undefined
      ? { ...windowed, sum: { [sum]: ANY } }
      : daysSince === true
        ? { ...windowed, daysSince: ANY }
        : windowed
  const what = sum !== undefined ? `sum ${sum}` : daysSince === true ? 'daysSince' : 'count'
  return { rule, words: `${describeRule(windowed)}, ${what}${weight === undefined ? '' : ` × ${weight}`}` }
}

async function explainRules(
  deps: Deps,
  profile: Profile,
  options: CompileOptions,
  asked: readonly Asked[],
): Promise<Explanation[]> {
  const query = compileExplain({ any: asked.map((a) => openSegments(a.rule, options.segments)) }, options)
  const [touched] = await readFigures(deps, query, [profile])
  const { parts = [] } = query.explain(touched!.figures)
  return asked.map(({ rule, words }, i) => {
    const tree = nameSegments(rule, parts[i]!, options.segments)
    return words === undefined ? tree : { ...tree, clause: words }
  })
}

/** Segments as `all` over their rule, so that their clauses are explained too. */
function openSegments(rule: Rule, segments: CompileOptions['segments']): Rule {
  if ('all' in rule) return { all: rule.all.map((r) => openSegments(r, segments)) }
  if ('any' in rule) return { any: rule.any.map((r) => openSegments(r, segments)) }
  if ('not' in rule) return { not: openSegments(rule.not, segments) }
  const inner = 'segment' in rule ? segments.get(rule.segment) : undefined
  return inner === undefined ? rule : { all: [openSegments(inner, segments)] }
}

/** The explanation of what `openSegments` made, with the segments' names back in their places. */
function nameSegments(rule: Rule, tree: Explanation, segments: CompileOptions['segments']): Explanation {
  const inner = 'segment' in rule ? segments.get(rule.segment) : undefined
  const rules =
    'all' in rule
      ? rule.all
      : 'any' in rule
        ? rule.any
        : 'not' in rule
          ? [rule.not]
          : inner === undefined
            ? []
            : [inner]
  return {
    ...tree,
    clause: describeRule(rule),
    ...(tree.parts === undefined ? {} : { parts: tree.parts.map((p, i) => nameSegments(rules[i]!, p, segments)) }),
  }
}
