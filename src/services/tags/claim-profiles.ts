import type { Filter } from '../../ports/document-language.js'
import type { Batch, BatchPlan } from '../../stored/ingest.js'
import { EVALUATIONS } from '../../stored/runtime.js'
import type { Refresh } from '../../stored/tags.js'
import type { Deps } from '../runtime/deps.js'
import { takeMoment } from '../runtime/take-moment.js'

type Docs = Pick<Deps, 'docs'>

/**
 * What ingest does before it changes or reads anything of the profiles a group touches, beside a refresh that may be at
 * the same people (`workRefreshes`): says so to every refresh that is open, and makes sure of its number. The plan is
 * stored by then, and stays stored until everything of it is done.
 *
 * A number that was followed by others is replaced: whoever took one of those may have read these profiles before this plan
 * was stored, and must not win. The one that is returned is higher than any that a refresh took before we said so.
 *
 * @returns the plan with its number; `undefined` when somebody else has done all of it: it takes no number any more that
 * could be higher than that of the plan after it
 */
export async function claimProfiles(
  deps: Pick<Deps, 'docs' | 'clock' | 'facts'>,
  batchId: string,
  plan: BatchPlan,
): Promise<BatchPlan | undefined> {
  const { docs } = deps
  const underWay: Filter<Refresh> = { phase: { $in: ['opening', 'ranges', 'overtaken'] }, kind: { $ne: 'enter' } }
  const open = await docs.refreshes.find(underWay, { skipUnfit: true })
  if (open.length > 0) {
    // Behind the ranges only those are evaluated that are stamped already.
    const all = open.some((refresh) => refresh.phase !== 'overtaken')
    await stampProfiles({ docs }, plan, all)
  }
  const last = (await docs.meta.get(`counter:${EVALUATIONS}`))?.value
  if (plan.seq === last) return plan
  const { seq } = await takeMoment(deps)
  const isOpen = await docs.batches.update(batchId, { $set: { 'plan.seq': seq } }, isPlanned(plan))
  return isOpen ? { ...plan, seq } : undefined
}

/** The batch that holds a plan, as long as it does: its next part has another one. */
export function isPlanned({ basis }: Pick<BatchPlan, 'basis'>): Filter<Batch> {
  return { state: 'planned', 'plan.basis': basis ?? { $exists: false } }
}

/** @param all - also those that bear no stamp yet */
export async function stampProfiles({ docs }: Docs, plan: BatchPlan, all: boolean): Promise<void> {
  await docs.overtaken.updateEach(
    touchedBy(plan).map((id) => ({
      id,
      update: { $max: { seq: plan.seq }, $inc: { times: 1 } },
      upsert: all,
    })),
  )
}

/** Groups that are planned and not done. */
export async function plansUnderWay({ docs }: Docs): Promise<BatchPlan[]> {
  return (await docs.batches.find({ state: 'planned' })).flatMap((batch) => batch.plan ?? [])
}

/** Those whose values or documents the group may change: also whoever is merged away. */
export function touchedBy(plan: BatchPlan): number[] {
  return [...plan.touchedIds, ...plan.merges.map((merge) => merge.from)]
}
