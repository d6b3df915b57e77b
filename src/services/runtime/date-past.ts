import { z } from 'zod'
import {
  consentChangesTable,
  eventsTable,
  identityChangesTable,
  profilesTable,
  traitChangesTable,
} from '../../domain/events/tables.js'
import { logLinks, logStanding, type Moment } from '../../domain/identity/change-log.js'
import { nextMoment } from '../../stored/runtime.js'
import type { Deps } from './deps.js'

type PastDeps = Pick<Deps, 'docs' | 'events' | 'clock' | 'log'>

const PAST = 'past'
const CHUNK = 1_000
/** Instants in one statement: well below the engine's limit on its text. */
const BATCHES = 5_000

/**
 * Dates what a store of version 0.1 holds: events by the acceptance of their batch; of traits, consent and identity it is
 * known how they stand, from this instant on. Does nothing to a store that was dated or is new. After a crash it goes on
 * with the same instant. To be run before anything is worked on.
 */
export async function datePast(deps: PastDeps): Promise<void> {
  const { docs } = deps
  const stored = await docs.meta.get(PAST)
  if (stored?.flag === true) return
  if ((await docs.meta.get('counter:batch')) !== undefined) {
    const moment = stored === undefined ? await beginDating(deps) : { now: stored.at!, seq: stored.value! }
    await dateEvents(deps, moment)
    await logWhatStands(deps, moment)
    deps.log.info('the past is kept from now on', { from: moment.now.toISOString() })
  }
  await docs.meta.updateEach([{ id: PAST, update: { $set: { flag: true } }, upsert: true }])
}

/** From when on the past can be asked, and what made it so: the upgrade of a store that kept none. */
export type Horizon = { from: Date; by: 'upgrade' }

/** Absent when everything that was ever known is kept. */
export async function pastHorizon({ docs }: Pick<Deps, 'docs'>): Promise<Horizon | undefined> {
  const from = (await docs.meta.get(PAST))?.at
  return from && { from, by: 'upgrade' }
}

async function beginDating({ docs, clock }: PastDeps): Promise<Moment> {
  const moment = await nextMoment(docs.meta, clock)
  await docs.meta.updateEach([{ id: PAST, update: { $set: { at: moment.now, value: moment.seq } }, upsert: true }])
  return moment
}

const UNDATED = 'toUnixTimestamp64Milli(known_at) = 0'

async function dateEvents({ docs, events }: PastDeps, { now }: Moment): Promise<void> {
  const [undated] = await events.query(
    `SELECT count() AS n FROM ${eventsTable.name} WHERE ${UNDATED}`,
    z.object({ n: z.number() }),
    'scan',
  )
  const instant = (ms: string) => `fromUnixTimestamp64Milli(toInt64(${ms}), 'UTC')`
  if (undated!.n > 0) {
    for await (const batches of docs.batches.scan({}, BATCHES)) {
      const seqs = batches.map((b) => b.seq).join(', ')
      const times = batches.map((b) => b.acceptedAt.getTime()).join(', ')
      await events.command(
        `ALTER TABLE ${eventsTable.name} UPDATE known_at = ${instant(`transform(batch, [${seqs}], [${times}], 0)`)}
         WHERE batch IN (${seqs}) AND ${UNDATED}`,
      )
    }
  }
  for (const { name } of [eventsTable, profilesTable])
    await events.command(`ALTER TABLE ${name} UPDATE known_at = ${instant(String(now.getTime()))} WHERE ${UNDATED}`)
}

async function logWhatStands({ docs, events }: PastDeps, moment: Moment): Promise<void> {
  for await (const profiles of docs.profiles.scan({}, CHUNK)) {
    const log = logStanding(profiles, 'version 0.1', moment)
    const key = `past:${profiles[0]!._id}`
    await events.insert(traitChangesTable, log.traits, key)
    await events.insert(consentChangesTable, log.consents, key)
    await events.insert(identityChangesTable, log.identities, key)
  }
  for await (const links of docs.identifiers.scan({}, CHUNK))
    await events.insert(identityChangesTable, logLinks(links, moment), `past:${links[0]!._id}`)
}
