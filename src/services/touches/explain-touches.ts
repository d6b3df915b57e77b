import { z } from 'zod'
import { said } from '../../said.js'
import { ownerOf } from '../../domain/identity/profile.js'
import { NotFoundError } from '../../errors.js'
import type { Touch } from '../../domain/touches/touch.js'
import type { Deps } from '../runtime/deps.js'
import { findPerson, PersonQuery } from '../identity/find-person.js'
import { isStopped } from './switch-sending.js'

export const WhyQuery = z.union([z.strictObject({ touchId: z.string().min(1) }), PersonQuery])
export type WhyQuery = z.infer<typeof WhyQuery>

/** Everything that was and was not done for one person, and why. Instants are ISO 8601, oldest first. */
export type Why = {
  profileId: number
  /** The guide through whom this person is written to; absent when nobody has her as a contact. */
  guideUserId?: string
  optedOutAt?: string
  sending: { mode: string; stopped: boolean }
  touches: {
    id: string
    plannedAt: string
    journeyId: string
    stepId: string
    channel: string
    contentId: string
    state: string
    reason?: string
    /** Not before this instant, while it is planned. */
    releaseAt?: string
    deliveredAt?: string
    /** What the platform said instead of what became of it, and since when, while it is still asked. */
    unsettled?: { why: string; since?: string }
  }[]
  runs: {
    id: string
    journeyId: string
    version: number
    arm: string
    state: string
    outcome?: string
    enteredAt: string
    /** Why it cannot go on. */
    held?: { reason: string; since: string }
  }[]
  refusals: { journeyId: string; at: string; reason: string }[]
  /** Welcome messages when somebody added her: sent, or why not. */
  welcomes: { at: string; userId: string; state: string; reason?: string; contentId?: string }[]
}

/** Answers "why did she get it, or not". @throws {NotFoundError} */
export async function explainTouches(deps: Deps, query: WhyQuery): Promise<Why> {
  const { docs, sending } = deps
  const touch = 'touchId' in query ? await docs.touches.get(query.touchId) : undefined
  if ('touchId' in query && touch === undefined) {
    throw new NotFoundError(
      said(
        `没有触达 "${query.touchId}" → siyu why <档案> 列出一个人的触达`,
        `there is no touch "${query.touchId}" → siyu why <profile> lists those of a person`,
      ),
    )
  }
  const profile = await findPerson(deps, 'touchId' in query ? { profileId: touch!.profileId } : query)
  const profileId = profile._id
  const touches = touch === undefined ? await docs.touches.find({ profileId }) : [touch]
  const unsettled = await unsettledOf(deps, touches)
  const runs = await docs.runs.find(touch === undefined ? { profileId } : { _id: touch.runId })
  const refusals = touch === undefined ? await docs.refusals.find({ profileId }) : []
  const externalUserIds = profile.identifiers.filter((i) => i.type === 'external_userid').map((i) => i.value)
  const welcomes = touch === undefined ? await docs.welcomes.find({ externalUserId: { $in: externalUserIds } }) : []
  const guideUserId = ownerOf(profile)?.userId
  return {
    profileId,
    ...(guideUserId === undefined ? {} : { guideUserId }),
    ...(profile.optedOutAt === undefined ? {} : { optedOutAt: profile.optedOutAt.toISOString() }),
    sending: { mode: sending.mode, stopped: await isStopped(deps) },
    touches: touches
      .sort((a, b) => a.plannedAt.getTime() - b.plannedAt.getTime() || (a._id < b._id ? -1 : 1))
      .map((t) => ({
        id: t._id,
        plannedAt: t.plannedAt.toISOString(),
        journeyId: t.journeyId,
        stepId: t.stepId,
        channel: t.channel,
        contentId: t.contentId,
        state: t.state,
        ...(t.reason === undefined ? {} : { reason: t.reason }),
        ...(t.releaseAt === undefined ? {} : { releaseAt: t.releaseAt.toISOString() }),
        ...(t.deliveredAt === undefined ? {} : { deliveredAt: t.deliveredAt.toISOString() }),
        ...unsettled(t),
      })),
    runs: runs
      .sort((a, b) => a.enteredAt.getTime() - b.enteredAt.getTime() || (a._id < b._id ? -1 : 1))
      .map((r) => ({
        id: r._id,
        journeyId: r.journeyId,
        version: r.version,
        arm: r.arm,
        state: r.state,
        ...(r.outcome === undefined ? {} : { outcome: r.outcome }),
        enteredAt: r.enteredAt.toISOString(),
        ...(r.held === undefined ? {} : { held: { reason: r.held.reason, since: r.held.since.toISOString() } }),
      })),
    refusals: refusals
      .sort((a, b) => a.at.getTime() - b.at.getTime() || (a._id < b._id ? -1 : 1))
      .map((r) => ({ journeyId: r.journeyId, at: r.at.toISOString(), reason: r.reason })),
    welcomes: welcomes
      .sort((a, b) => a.addedAt.getTime() - b.addedAt.getTime() || (a._id < b._id ? -1 : 1))
      .map((w) => ({
        at: w.addedAt.toISOString(),
        userId: w.userId,
        state: w.state,
        ...(w.reason === undefined ? {} : { reason: w.reason }),
        ...(w.contentId === undefined ? {} : { contentId: w.contentId }),
      })),
  }
}

/** Whether what became of a touch is known only to the platform, which does not say. */
async function unsettledOf(
  { docs }: Deps,
  touches: readonly Touch[],
): Promise<(touch: Touch) => Pick<Why['touches'][number], 'unsettled'>> {
  const dispatches = await docs.dispatches.getMany([...new Set(touches.flatMap((t) => t.dispatchId ?? []))])
  const byId = new Map(dispatches.map((d) => [d._id, d]))
  return ({ dispatchId, state }) => {
    const dispatch = dispatchId === undefined ? undefined : byId.get(dispatchId)
    if (dispatch?.state === 'unknown' && state === 'unknown' && dispatch.reason !== undefined)
      return { unsettled: { why: dispatch.reason } }
    const isOpen = state === 'planned' || state === 'created' || state === 'confirmed'
    if (dispatch?.silent === undefined || !isOpen) return {}
    return { unsettled: { why: dispatch.silent.why, since: dispatch.silent.since.toISOString() } }
  }
}
