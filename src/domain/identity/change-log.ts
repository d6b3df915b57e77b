import { z } from 'zod'
import { own } from '../../parse.js'
import type { consentChangesTable, identityChangesTable, RowOf, traitChangesTable } from '../events/tables.js'
import { identityUnit, profileUnit } from './identity-unit.js'
import { consentOf, type Profile, typeName, traitEntry, traitValue } from './profile.js'
import { type InboxRecord, type Resolution, SHARED } from './resolve.js'

/** When a group came to know what it brings, and its place among all groups: neither ever falls. */
export const Moment = z.object({ now: z.date(), seq: z.number() })
export type Moment = z.infer<typeof Moment>

/** Rows for the logs that are only ever added to. */
export type ChangeLog = {
  traits: RowOf<typeof traitChangesTable>[]
  consents: RowOf<typeof consentChangesTable>[]
  identities: RowOf<typeof identityChangesTable>[]
}

/** What a group of records was found to mean. `owners`: per record its profile, 0 where it has none. */
export type Meaning = Pick<Resolution, 'links' | 'merges' | 'units'> & {
  owners: readonly number[]
  newProfileIds: readonly number[]
}

/**
 * Every statement of the records, won or lost, and whose every unit is now.
 *
 * @param profiles - the owners and those merged away, as they are after the group
 */
export function logChanges(
  meaning: Meaning,
  records: readonly InboxRecord[],
  profiles: ReadonlyMap<number, Profile>,
  moment: Moment,
): ChangeLog {
  const log: ChangeLog = { traits: [], consents: [], identities: logIdentities(meaning, profiles, moment) }
  for (const { from, to, at } of meaning.merges) {
    const lost = profiles.get(from)
    const survivor = profiles.get(to)
    if (lost === undefined || survivor === undefined) continue
    const ref = `merge:${from}`
    for (const trait of Object.keys(lost.traits).sort())
      log.traits.push(
        traitRow(survivor, profileUnit(from), trait, '', { source: '', observedAt: at, ref }, true, moment),
      )
    if (lost.optedOutAt !== undefined || lost.optedInAt !== undefined)
      log.consents.push(consentRow(survivor, profileUnit(from), '', { source: '', observedAt: at, ref }, true, moment))
  }
  for (const [i, record] of records.entries()) {
    const profile = profiles.get(meaning.owners[i]!)
    if (profile === undefined) continue
    const unit = meaning.units[i]!
    for (const [trait, said] of Object.entries(record.traits))
      log.traits.push(traitRow(profile, unit, trait, textOf(said), record, wins(profile, trait, record), moment))
    for (const { id, name, occurredAt, saidAt } of record.events) {
      if (!isConsent(name)) continue
      const by = { source: record.source, observedAt: occurredAt, ref: id, ...(saidAt && { saidAt }) }
      log.consents.push(consentRow(profile, unit, name, by, consentWins(profile, name, occurredAt), moment))
    }
  }
  return log
}

/** What is known of profiles whose statements were not logged one by one: the last one of each source, as it stands. */
export function logStanding(profiles: readonly Profile[], ref: string, moment: Moment): ChangeLog {
  const log: ChangeLog = { traits: [], consents: [], identities: [] }
  for (const profile of profiles) {
    const unit = profileUnit(profile._id)
    log.identities.push(identityRow(unit, '', profile.mergedInto ?? profile._id, moment))
    if (profile.mergedInto !== undefined) continue
    for (const [trait, bySource] of Object.entries(profile.traits)) {
      for (const [source, { value, at }] of Object.entries(bySource)) {
        const by = { source, observedAt: at, ref }
        const won = traitEntry(profile, trait)?.source === source
        log.traits.push(traitRow(profile, unit, trait, textOf(value), by, won, moment))
      }
    }
    for (const [said, at] of [
      ['opted_in', profile.optedInAt],
      ['opted_out', profile.optedOutAt],
    ] as const) {
      if (at === undefined) continue
      const by = { source: '', observedAt: at, ref }
      log.consents.push(consentRow(profile, unit, said, by, consentWins(profile, said, at), moment))
    }
  }
  return log
}

/** Whose a unit is, for identifiers whose links were not logged. */
export function logLinks(links: Resolution['links'], moment: Moment): ChangeLog['identities'] {
  return links.map(({ _id, type, profileId }) =>
    identityRow(identityUnit(_id), type === SHARED ? '' : typeName(type), profileId, moment),
  )
}

/** Whose the units are that the group made or moved. */
export function logIdentities(
  { links, merges, newProfileIds }: Pick<Meaning, 'links' | 'merges' | 'newProfileIds'>,
  profiles: ReadonlyMap<number, Profile>,
  moment: Moment,
): ChangeLog['identities'] {
  const owners = new Map(newProfileIds.map((id) => [id, id]))
  for (const { from, to } of merges)
    for (const id of [from, ...(profiles.get(from)?.mergedIds ?? [])]) owners.set(id, to)
  return [
    ...[...owners].map(([id, owner]) => identityRow(profileUnit(id), '', owner, moment)),
    ...logLinks(links, moment),
  ]
}

/** Whether the record says something that is logged as a statement. */
export function statesSomething({ traits, events }: InboxRecord): boolean {
  return Object.keys(traits).length > 0 || events.some((event) => isConsent(event.name))
}

function isConsent(name: string): name is 'opted_out' | 'opted_in' {
  return name === 'opted_out' || name === 'opted_in'
}

type Said = { source: string; observedAt: Date; ref: string; saidAt?: Date }

/** Whether it is what counts now, or the withdrawal of what the source had said. */
function wins(profile: Profile, trait: string, { source, observedAt, traits }: InboxRecord): boolean {
  const said = own(traits, trait)
  if (said === null) {
    const bySource = own(profile.traits, trait)
    const standing = bySource && own(bySource, source)
    return standing?.value === null && standing.at.getTime() === observedAt.getTime()
  }
  const entry = traitEntry(profile, trait)
  return entry?.source === source && entry.at.getTime() === observedAt.getTime() && entry.value === said
}

function consentWins({ optedInAt, optedOutAt }: Profile, said: 'opted_in' | 'opted_out', at: Date): boolean {
  if (said === 'opted_out') return optedOutAt?.getTime() === at.getTime()
  return optedOutAt === undefined && optedInAt?.getTime() === at.getTime()
}

function traitRow(
  profile: Profile,
  unit: string,
  trait: string,
  said: string,
  { source, observedAt, ref, saidAt }: Said,
  won: boolean,
  { now, seq }: Moment,
): ChangeLog['traits'][number] {
  return {
    trait,
    profile_id: profile._id,
    unit,
    said,
    value: textOf(traitValue(profile, trait)),
    source,
    observed_at: observedAt,
    ref,
    won,
    known_at: now,
    seq,
    ...(saidAt && { said_at: saidAt }),
  }
}

function consentRow(
  profile: Profile,
  unit: string,
  said: string,
  { source, observedAt, ref, saidAt }: Said,
  won: boolean,
  { now, seq }: Moment,
): ChangeLog['consents'][number] {
  const value = consentOf(profile) ?? ''
  return {
    profile_id: profile._id,
    unit,
    said,
    value,
    source,
    observed_at: observedAt,
    ref,
    won,
    known_at: now,
    seq,
    ...(saidAt && { said_at: saidAt }),
  }
}

function identityRow(
  unit: string,
  type: string,
  profileId: number,
  { now, seq }: Moment,
): ChangeLog['identities'][number] {
  return { unit, type, profile_id: profileId, known_at: now, seq }
}

function textOf(value: string | number | boolean | null | undefined): string {
  return value === null || value === undefined ? '' : String(value)
}
