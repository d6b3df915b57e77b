import {
  closedNumbersTable,
  consentChangesTable,
  eventIdsTable,
  eventsTable,
  identityChangesTable,
  profilesTable,
  storesTable,
  type Table,
  tagChangesTable,
  tagStateTable,
  traitChangesTable,
} from '../../domain/events/tables.js'
import { identityUnit, profileUnit } from '../../domain/identity/identity-unit.js'
import type { Profile } from '../../domain/identity/profile.js'
import { type InboxRecord, linkKey, sharedKey } from '../../domain/identity/resolve.js'
import { literal } from '../../domain/rules/sql.js'
import type { Filter } from '../../ports/document-language.js'
import type { Collection, Doc } from '../../ports/document-store.js'
import type { Collections } from '../../stored/collections.js'

/** By what things are found to be about one person. */
export type PersonKeys = {
  /** Of her and of all who were found to be her. */
  profileIds: readonly number[]
  /** `linkKey` of each of her identifiers, and of each that she shares. */
  linkKeys: ReadonlySet<string>
  /** Their values, of whichever type. */
  values: readonly string[]
  externalUserIds: readonly string[]
  /** Owners of events and statements: see `identityUnit`. */
  units: readonly string[]
  touchIds: readonly string[]
}

/** Whoever asks is told of the others. */
const USABLE = { skipUnfit: true }

/** Everything by which something may be hers. */
export async function keysOf(docs: Collections, profile: Profile): Promise<PersonKeys> {
  const profileIds = [profile._id, ...profile.mergedIds]
  const links = await docs.identifiers.find({ profileId: { $in: profileIds } }, USABLE)
  const profiles = await docs.profiles.getMany(profileIds)
  const identifiers = [...links, ...profiles.flatMap((p) => p.identifiers)]
  const linkKeys = new Set([...links.map((link) => link._id), ...identifiers.map(linkKey)])
  const contacts = profiles.flatMap((p) => p.contacts.map((contact) => contact.externalUserId))
  const named = identifiers.flatMap(({ type, value }) => (type === 'external_userid' ? value : []))
  const touches = await docs.touches.find({ profileId: { $in: profileIds } }, USABLE)
  return {
    profileIds,
    linkKeys,
    values: [...new Set(identifiers.map(({ value }) => value))],
    externalUserIds: [...new Set([...contacts, ...named])],
    units: [
      ...profileIds.map(profileUnit),
      ...[...linkKeys].map(identityUnit),
      ...identifiers.map((identifier) => identityUnit(sharedKey(identifier))),
    ],
    touchIds: touches.map((touch) => touch._id),
  }
}

/** Why nothing in it is about a customer. */
type Nobodys = { none: string }

/** Which documents may be hers, and what of one is, where others are in it too; `undefined`: nothing. */
type Hers<T extends Doc> = { where: (keys: PersonKeys) => Filter<T>; pick?: (doc: T, keys: PersonKeys) => unknown }

type DocOf<C> = C extends Collection<infer T> ? T : never

const ofProfile = { where: ({ profileIds }: PersonKeys) => ({ profileId: { $in: [...profileIds] } }) }
const ofId = { where: ({ profileIds }: PersonKeys) => ({ _id: { $in: [...profileIds] } }) }
const ofContact = { where: ({ externalUserIds }: PersonKeys) => ({ externalUserId: { $in: [...externalUserIds] } }) }

/**
 * Where documents hold what is known of a person. Every collection says so here, or why nobody is in it: one that does not
 * fails to compile.
 */
export const personalDocuments: { readonly [K in keyof Collections]: Nobodys | Hers<DocOf<Collections[K]>> } = {
  meta: { none: 'counters, cursors, switches, leases' },
  laneFailures: { none: 'errors of lanes, which name nobody' },
  waitingRows: {
    where: () => ({ rows: { $exists: true } }),
    pick: ({ table, rows = [] }, keys) => {
      const hers = rows.filter(
        (row) => keys.profileIds.includes(Number(row.profile_id)) || keys.units.includes(String(row.unit)),
      )
      return hers.length === 0 ? undefined : { table, rows: hers }
    },
  },
  audit: {
    where: () => ({}),
    // Rows name people by number alone.
    pick: (row, { profileIds }) =>
      [...row.target.matchAll(/\bprofile (\d+)\b/g)].some(([, id]) => profileIds.includes(Number(id)))
        ? row
        : undefined,
  },
  backups: { none: 'where copies of everything are' },
  batches: {
    where: () => ({ records: { $exists: true } }),
    pick: ({ _id, state, records = [] }, keys) => {
      const hers = records.filter((record) => isOf(record, keys))
      return hers.length === 0 ? undefined : { _id, state, records: hers }
    },
  },
  rejected: {
    where: () => ({}),
    pick: (doc, keys) =>
      (doc.profileId !== undefined && keys.profileIds.includes(doc.profileId)) ||
      (doc.record !== undefined && isOf(doc.record, keys))
        ? doc
        : undefined,
  },
  chatTexts: { where: ({ values }) => ({ 'person.value': { $in: [...values] } }) },
  profiles: ofId,
  identifiers: ofProfile,
  evidence: {
    where: ({ linkKeys }) => ({ $or: [{ a: { $in: [...linkKeys] } }, { b: { $in: [...linkKeys] } }] }),
  },
  conflicts: { where: ({ profileIds }) => ({ profileIds: { $in: [...profileIds] } }) },
  merges: {
    where: ({ profileIds }) => ({ $or: [{ from: { $in: [...profileIds] } }, { to: { $in: [...profileIds] } }] }),
  },
  profileTags: ofId,
  refreshes: { none: 'cursors over everybody' },
  overtaken: ofId,
  writebacks: ofContact,
  openReactions: {
    where: ({ profileIds }) => ({ 'changes.p': { $in: [...profileIds] } }),
    pick: ({ changes, ...doc }, { profileIds }) => ({
      ...doc,
      changes: changes.filter(({ p }) => profileIds.includes(p)),
    }),
  },
  runs: ofProfile,
  refusals: ofProfile,
  touches: ofProfile,
  dispatches: {
    where: ({ touchIds }) => ({ 'recipients.touchId': { $in: [...touchIds] } }),
    pick: ({ recipients, ...doc }, { touchIds }) => ({
      ...doc,
      recipients: recipients.filter(({ touchId }) => touchIds.includes(touchId)),
    }),
  },
  coupons: { where: ({ touchIds }) => ({ touchId: { $in: [...touchIds] } }) },
  tasks: ofProfile,
  callbacks: {
    where: () => ({ message: { $exists: true } }),
    pick: (doc, { externalUserIds }) => (externalUserIds.some((id) => doc.message?.includes(id)) ? doc : undefined),
  },
  welcomes: ofContact,
  wecomRelations: ofContact,
  wecomMembers: { none: 'members of the company, not its customers' },
  wecomDepartments: { none: 'departments of the company' },
  wecomTags: { none: 'names of tags' },
  wecomGroups: {
    where: ({ externalUserIds }) => ({ 'members.id': { $in: [...externalUserIds] } }),
    pick: ({ _id, name, members }, { externalUserIds }) => ({
      _id,
      name,
      members: members.filter(({ id }) => externalUserIds.includes(id)),
    }),
  },
  wecomSyncChunks: { none: 'lists of members' },
  wecomWays: { none: 'codes and links of the company' },
  transfers: ofContact,
  wecomDays: { none: 'counts by member and day' },
  published: { none: 'definitions' },
}

function isOf({ profileId, identifiers }: Pick<InboxRecord, 'profileId' | 'identifiers'>, keys: PersonKeys): boolean {
  if (profileId !== undefined && keys.profileIds.includes(profileId)) return true
  return identifiers.some((identifier) => keys.linkKeys.has(linkKey(identifier)))
}

const ids = ({ profileIds }: PersonKeys) => profileIds.join(', ')
const units = (keys: PersonKeys) => keys.units.map(literal).join(', ')
const ofProfileOrUnit = (keys: PersonKeys) => `profile_id IN (${ids(keys)}) OR unit IN (${units(keys)})`
const ofProfileAlone = (keys: PersonKeys) => `profile_id IN (${ids(keys)})`

/** The same of tables: the condition of her rows, or why nobody is in it. */
export const personalRows: ReadonlyMap<Table, Nobodys | ((keys: PersonKeys) => string)> = new Map<
  Table,
  Nobodys | ((keys: PersonKeys) => string)
>([
  [eventsTable, ofProfileOrUnit],
  // Whose an event is, the event says.
  [
    eventIdsTable,
    (keys) => `(source, event_id) IN (SELECT source, event_id FROM ${eventsTable.name} WHERE ${ofProfileOrUnit(keys)})`,
  ],
  [profilesTable, ofProfileAlone],
  [tagChangesTable, ofProfileAlone],
  [tagStateTable, ofProfileAlone],
  [traitChangesTable, ofProfileOrUnit],
  [consentChangesTable, ofProfileOrUnit],
  [identityChangesTable, ofProfileOrUnit],
  [closedNumbersTable, { none: 'numbers of evaluations' }],
  [storesTable, { none: 'the mark of the stores' }],
])
