import type { Profile } from '../../domain/identity/profile.js'
import { type CompileOptions, compileExplain, compileTouched, type Explanation } from '../../domain/rules/compile.js'
import type { Rule } from '../../domain/rules/rule.js'
import type { LocalText } from '../../domain/local-text.js'
import { type TagType, tagKindOf } from '../../domain/tags/definition.js'
import type { Asked } from '../../domain/tags/kinds/kind.js'
import { NotFoundError } from '../../errors.js'
import { nearest } from '../../yaml-file.js'
import type { Deps } from '../runtime/deps.js'
import { findPerson, type PersonQuery } from '../identity/find-person.js'
import { readFigures, scopeOf } from '../segments/test-rules.js'

/** Why a profile has this value: every clause with the figure behind it. Instants are ISO 8601. */
export type TagReason = {
  id: string
  name: LocalText
  type: TagType | 'journey'
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
  const asked = tagKindOf(tag).asked(tag)
  const trees = await explainRules(deps, profile, options, asked)
  const taken = trees.findIndex((t) => t.holds)
  return {
    id: tag.id,
    name: tag.name,
    type: tag.type,
    profileId: profile._id,
    at: new Date(options.nowMs).toISOString(),
    value,
    stored,
    ...(since === undefined ? {} : { since: since.toISOString() }),
    cases: trees.map((tree, i) => {
      const value = asked[i]!.value
      return value === undefined ? { tree } : { value, taken: i === taken, tree }
    }),
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
  const { segments } = deps.definitions.current
  return { nowMs: deps.clock.now().getTime(), segments, scope: scopeOf([profile]) }
}

async function explainRules(
  deps: Deps,
  profile: Profile,
  options: CompileOptions,
  asked: readonly Asked[],
): Promise<Explanation[]> {
  const query = compileExplain({ any: asked.map((a) => a.rule) }, options)
  const [touched] = await readFigures(deps, query, [profile])
  const { parts = [] } = query.explain(touched!.figures)
  return asked.map(({ words }, i) => (words === undefined ? parts[i]! : { ...parts[i]!, clause: words }))
}
