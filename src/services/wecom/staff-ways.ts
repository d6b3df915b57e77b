import { type WantedWay, wantedWays } from '../../domain/ways/plan.js'
import { messageOf } from '../../errors.js'
import { HOUR_MS } from '../../time.js'
import { nextLookAt, unavailableMembers } from './apply-ways.js'
import type { StoredWay } from '../../stored/wecom.js'
import type { ServiceDeps } from '../runtime/deps.js'
import { alone } from '../runtime/each-alone.js'

export async function nextStaffingAt({ docs }: ServiceDeps): Promise<Date | undefined> {
  return (await docs.wecomWays.findOne({ lookAt: { $exists: true } }, { sort: { lookAt: 1 }, skipUnfit: true }))?.lookAt
}

/** Shifts begin and end, members go away: every live code leads to who is on duty now. Done again, it changes nothing. */
export async function staffWays(deps: ServiceDeps, signal?: AbortSignal): Promise<void> {
  const { docs, wecomActions } = deps
  const now = deps.clock.now()
  const due = await docs.wecomWays.find({ lookAt: { $lte: now } }, { sort: { lookAt: 1, _id: 1 }, skipUnfit: true })
  if (due.length === 0) return
  const unavailable = await unavailableMembers(deps)
  for (const way of due) {
    if (signal?.aborted === true) return
    await alone(way, staff, async (_way, err) => {
      deps.log.error('way not staffed', { way: way._id, why: messageOf(err) })
      await later(way, new Date(now.getTime() + HOUR_MS))
    })
  }

  async function staff(way: StoredWay): Promise<void> {
    const want = wantedOf(way, now, deps, unavailable)
    if (way.kind === 'join_way' || want === undefined) return
    let lookAt = nextLookAt(way.definition, now, deps.brand.timeZone)
    const staffed = staffOf(want)
    if (way.remoteId !== undefined && way.staffed?.join() !== staffed.join()) {
      const outcome = await wecomActions.ways.update(way.remoteId, want)
      if (outcome.kind === 'done') {
        deps.log.info('way staffed anew', { way: way._id, members: staffed.length })
        await docs.wecomWays.update(way._id, { $set: { staffed } })
      } else {
        deps.log.warn('way not staffed', { way: way._id, why: outcome.reason })
        lookAt = new Date(now.getTime() + (outcome.kind === 'later' ? outcome.afterMs : HOUR_MS))
      }
    }
    await later(way, lookAt)
  }

  /** Unless it was applied anew meanwhile. */
  async function later({ _id }: StoredWay, lookAt: Date | undefined): Promise<void> {
    await docs.wecomWays.update(_id, lookAt === undefined ? { $unset: { lookAt: 1 } } : { $set: { lookAt } }, {
      lookAt: { $lte: now },
    })
  }
}

function wantedOf(
  way: StoredWay,
  now: Date,
  deps: ServiceDeps,
  unavailable: ReadonlySet<string>,
): WantedWay | undefined {
  const files = { ways: [], joinWays: [], links: [] }
  const one =
    way.kind === 'way'
      ? { ...files, ways: [way.definition] }
      : way.kind === 'link'
        ? { ...files, links: [way.definition] }
        : files
  return wantedWays(one, now, deps.brand.timeZone, unavailable)[0]
}

function staffOf(want: WantedWay): string[] {
  return want.kind === 'join_way' ? [] : want.spec.userIds
}
