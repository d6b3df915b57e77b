import { z } from 'zod'
import { said } from '../../said.js'
import { type Profile, traitTexts } from '../../domain/identity/profile.js'
import { STAGE_TAG } from '../../domain/rules/clauses/stage.js'
import { shownValue } from '../../domain/tags/definition.js'
import { type LocalText, textOf } from '../../domain/local-text.js'
import { NotFoundError } from '../../errors.js'
import { followPublished } from '../definitions/follow-published.js'
import { acceptCard } from '../wecom/accept-callbacks.js'
import type { GuideTask } from '../../stored/guides.js'
import type { Deps } from '../runtime/deps.js'
import { findPerson } from '../identity/find-person.js'
import { linkOf, renderContent } from '../../domain/content/render.js'

/** What a guide sees beside the chat with a customer. Instants are ISO 8601. */
export type CustomerCard = {
  externalUserId: string
  /** Since when she is this guide's contact. */
  since: string
  stage?: string
  optedOut: boolean
  traits: { name: string; value: string }[]
  tags: { id: string; name: string; value: string; since: string }[]
  /** Hers with this guide, the most urgent first. */
  tasks: SidebarTask[]
  /** The last things that reached her, newest first. */
  touches: { at: string; channel: string; contentId: string; state: string }[]
}

export type SidebarTask = {
  id: string
  externalUserId: string
  titles: string[]
  /** What to say. */
  script: string
  dueAt: string
  /** Ways to close it: one key goes to `pressButton`. */
  outcomes: { key: string; text: string }[]
}

/** Ready words and links that a guide can send with one tap. */
export type Material = { id: string; text: string; link?: { title: string; url: string; description?: string } }

const TOUCHES_SHOWN = 10

/** @throws {NotFoundError} also when she is another guide's customer: nobody learns who is whose */
export async function customerCard(deps: Deps, guideUserId: string, externalUserId: string): Promise<CustomerCard> {
  const { profile, since } = await customerOf(deps, guideUserId, externalUserId)
  const { docs, definitions, brand, clock } = deps
  const named = new Map(definitions.current.tags.map((tag) => [tag.id, tag]))
  const tags = (await docs.profileTags.get(profile._id))?.tags ?? {}
  const tasks = await docs.tasks.find({ guideUserId, state: 'open', profileId: profile._id })
  const touches = await docs.touches.find(
    { profileId: profile._id, deliveredAt: { $exists: true } },
    { sort: { deliveredAt: -1, _id: 1 }, limit: TOUCHES_SHOWN },
  )
  const stage = tags[STAGE_TAG]?.v
  return {
    externalUserId,
    since: since.toISOString(),
    ...(stage === undefined ? {} : { stage: nameOfValue(named.get(STAGE_TAG), stage, brand.locale) }),
    optedOut: profile.optedOutAt !== undefined,
    traits: Object.entries(traitTexts(profile)).map(([name, value]) => ({ name, value })),
    tags: Object.entries(tags)
      .flatMap(([tagId, { v: value, since: at }]) => {
        const tag = named.get(tagId)
        if (tag === undefined || tagId === STAGE_TAG) return []
        const name = textOf(tag.name, brand.locale)
        const shown = nameOfValue(tag, shownValue(tag, value, clock.now()), brand.locale)
        return [{ id: tagId, name, value: shown, since: at.toISOString() }]
      })
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
    tasks: await describe(deps, tasks),
    touches: touches.map((t) => ({
      at: t.deliveredAt!.toISOString(),
      channel: t.channel,
      contentId: t.contentId,
      state: t.state,
    })),
  }
}

/** Everything a guide has to do, the most urgent first. */
export async function guideTasks(deps: Deps, guideUserId: string): Promise<SidebarTask[]> {
  return describe(deps, await deps.docs.tasks.find({ guideUserId, state: 'open' }))
}

/** Contents that anybody may be sent; those with a coupon are personal and come as tasks, those withdrawn are for nobody. */
export async function materials(deps: Deps, search: string): Promise<Material[]> {
  // A process that only answers looks by itself once a minute: what is withdrawn goes at once.
  await followPublished(deps)
  const { definitions, brand, linkBase } = deps
  return [...definitions.current.contents.values()]
    .filter(({ id, coupon }) => coupon === undefined && !definitions.current.withdrawn.has(id))
    .map((content) => {
      const link = linkOf(content, linkBase)
      return {
        id: content.id,
        text: renderContent(content, { brand: brand.name }),
        ...(link !== undefined && { link }),
      }
    })
    .filter(({ id, text }) => `${id} ${text}`.toLowerCase().includes(search.toLowerCase()))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

export const TaskOutcome = z.strictObject({ key: z.string().min(1) })

/** Presses a button of a task's card for a guide. Doing so twice changes nothing. @throws {NotFoundError} when it is not hers */
export async function pressButton(deps: Deps, guideUserId: string, taskId: string, key: string): Promise<void> {
  const task = await deps.docs.tasks.get(taskId)
  if (task === undefined || task.guideUserId.toLowerCase() !== guideUserId.toLowerCase())
    throw new NotFoundError(said('没有这个任务', 'there is no such task of yours'))
  const dispatch = await deps.docs.dispatches.get(taskId)
  const outcomes = dispatch?.content.card?.buttons ?? []
  if (!outcomes.some((button) => button.key === key))
    throw new NotFoundError(
      said(
        `任务没有“${key}”这个结果：${outcomes.map((b) => b.key).join('、')}`,
        `the task has no outcome "${key}": ${outcomes.map((b) => b.key).join(', ')}`,
      ),
    )
  if (task.state !== 'open') return
  const at = deps.clock.now()
  const { responseCode } = dispatch!
  await acceptCard(deps, `sidebar:${taskId}`, {
    kind: 'card',
    taskId,
    key,
    userId: task.guideUserId,
    selected: {},
    at,
    ...(responseCode === undefined ? {} : { responseCode }),
  })
}

async function customerOf(
  deps: Deps,
  guideUserId: string,
  externalUserId: string,
): Promise<{ profile: Profile; since: Date }> {
  const unknown = new NotFoundError(said('没有这位客户，或不是您的客户', 'no such customer of yours'))
  let profile: Profile
  try {
    profile = await findPerson(deps, { identifier: { type: 'external_userid', value: externalUserId } })
  } catch (err) {
    if (err instanceof NotFoundError) throw unknown
    throw err
  }
  const relation = profile.contacts.find(
    (c) =>
      c.endedAt === undefined &&
      c.externalUserId === externalUserId &&
      c.userId.toLowerCase() === guideUserId.toLowerCase(),
  )
  if (relation === undefined) throw unknown
  return { profile, since: relation.since }
}

async function describe({ docs }: Deps, tasks: readonly GuideTask[]): Promise<SidebarTask[]> {
  const dispatches = new Map((await docs.dispatches.getMany(tasks.map((t) => t._id))).map((d) => [d._id, d]))
  return [...tasks]
    .sort((a, b) => a.dueAt.getTime() - b.dueAt.getTime() || (a._id < b._id ? -1 : 1))
    .map((task) => {
      const content = dispatches.get(task._id)?.content
      return {
        id: task._id,
        externalUserId: task.externalUserId,
        titles: task.titles,
        script: content?.text ?? '',
        dueAt: task.dueAt.toISOString(),
        outcomes: [...(content?.card?.buttons ?? [])],
      }
    })
}

type Named = { type: string; cases?: readonly { value: string; name?: LocalText | undefined }[] }

/** How people call a value: cases of a choice have names, a flag that is there says itself. */
function nameOfValue(tag: Named | undefined, value: string, locale: 'zh' | 'en'): string {
  const name = tag?.cases?.find((c) => c.value === value)?.name
  return name === undefined ? value : textOf(name, locale)
}
