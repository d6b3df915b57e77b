import { z } from 'zod'
import { said } from '../../said.js'
import type { Problem } from '../../errors.js'
import type { Identifier, RecordEvent, SourceRecord } from '../events/record.js'
import { keyed, own } from '../../parse.js'
import { hashKey } from '../../random.js'
import type { IdentityConfig } from './config.js'
import { identityUnit, profileUnit } from './identity-unit.js'
import { isPlaceholder } from './placeholders.js'
import { addContact, applyConsent, applyEvent, type Profile, traitValue, typeName } from './profile.js'

/** Which profile an identifier belongs to. `shared` ones (a family phone) no longer join anything. */
export const IdentifierLink = z.object({
  _id: z.string(),
  type: z.string(),
  value: z.string(),
  profileId: z.number(),
  shared: z.boolean(),
  since: z.date(),
})
export type IdentifierLink = z.infer<typeof IdentifierLink>

/** Type of the link to where what is known only by a shared identifier is kept. */
export const SHARED = 'shared'

/** Evidence: a source said these two identifiers belong to one person. */
export const Evidence = z.object({
  _id: z.string(),
  a: z.string(),
  b: z.string(),
  source: z.string(),
  at: z.date(),
  used: z.boolean(),
})
export type Evidence = z.infer<typeof Evidence>

export const Conflict = z.object({
  _id: z.string(),
  at: z.date(),
  source: z.string(),
  ref: z.string(),
  kind: z.enum(['too_many', 'contradiction', 'shared_identifier']),
  /** The type whose link was refused, and the type that stopped it. */
  linkType: z.string(),
  stoppedBy: z.string(),
  profileIds: z.array(z.number()),
})
export type Conflict = z.infer<typeof Conflict>

export const Merge = z.object({
  from: z.number(),
  to: z.number(),
  at: z.date(),
  linkType: z.string(),
  source: z.string(),
})
export type Merge = z.infer<typeof Merge>

/**
 * A record as it waits in the inbox: from outside by identifiers, from our own services by profile id. `saidAt`: the instant
 * as it was told, where that lay ahead of our clock and counts as the one at which it came in.
 */
export type InboxRecord = Omit<SourceRecord, 'events'> & {
  profileId?: number
  saidAt?: Date
  events: InboxEvent[]
}
export type InboxEvent = RecordEvent & { saidAt?: Date }

export type Known = {
  links: ReadonlyMap<string, IdentifierLink>
  profiles: ReadonlyMap<number, Profile>
}

export type Resolution = {
  /** Per record, in order; `undefined` when every identifier was unusable. */
  profileIds: (number | undefined)[]
  /** Per record, in order: what it belongs to, whoever that is found to be; '' when every identifier was unusable. */
  units: string[]
  /** New and changed ones, as they are now. */
  profiles: Profile[]
  links: IdentifierLink[]
  evidence: Evidence[]
  conflicts: Conflict[]
  merges: Merge[]
  nextProfileId: number
}

export function linkKey(identifier: Identifier): string {
  return `${identifier.type}:${identifier.value}`
}

/** Where what is known only by a shared identifier is kept. */
export function sharedKey(identifier: Identifier): string {
  return `shared:${linkKey(identifier)}`
}

/** Identifiers of a record in order of trust, normalised, without repeats, ignored values and unconfigured types. */
export function usableIdentifiers(config: IdentityConfig, record: SourceRecord): Identifier[] {
  const found = record.identifiers
    .flatMap((identifier) => {
      const rank = rankOf(config, identifier.type)
      if (rank === -1) return []
      const value = normalise(identifier.value, config.identifiers[rank]!.normalise)
      return value === '' || isNobodys(config, identifier.type, value) ? [] : [{ rank, type: identifier.type, value }]
    })
    .sort((x, y) => x.rank - y.rank || (x.type + x.value < y.type + y.value ? -1 : 1))
  return found
    .filter((x, i) => i === 0 || found[i - 1]!.type !== x.type || found[i - 1]!.value !== x.value)
    .map(({ type, value }) => ({ type, value }))
}

/** @param value - normalised */
function isNobodys({ ignore, allow }: IdentityConfig, type: string, value: string): boolean {
  const isIn = (list: IdentityConfig['ignore']) =>
    list.some((of) => of.value === value && (of.type === type || of.type === typeName(type)))
  return isIn(ignore) || (isPlaceholder(type, value) && !isIn(allow))
}

/** Identifiers of a record, from the most trusted on, each of which is evidence with all others. */
const ANCHORS = 3

/**
 * Which of what a record names together is kept as evidence: of up to four identifiers every pair, of more each with the three
 * most trusted, so that pairs grow as identifiers do.
 *
 * @param keys - in order of trust
 */
export function evidencePairs<T>(keys: readonly T[]): [T, T][] {
  return keys.slice(0, ANCHORS).flatMap((a, i) => keys.slice(i + 1).map((b): [T, T] => [a, b]))
}

/** Why nobody could be found by this record, if so. */
export function findIdentifierProblem(config: IdentityConfig, record: SourceRecord): Problem | undefined {
  if (usableIdentifiers(config, record).length > 0) return undefined
  const types = [...new Set(record.identifiers.map((i) => i.type))].join(', ')
  return {
    path: 'identifiers',
    message: said(
      `一个都不能用（${types}）：类型没有配置，或值是空的、被忽略，或是占位（如 null）`,
      `none of them (${types}) can be used: the type is not configured, or the value is empty, ignored or a placeholder such as "null"`,
    ),
    hint: said(
      `config/identity.yaml 里有 ${config.identifiers.map((i) => i.type).join('、')}`,
      `config/identity.yaml knows ${config.identifiers.map((i) => i.type).join(', ')}`,
    ),
  }
}

/** Identifiers of a record whose values cannot be what their types say: nobody is found by them, whatever else is in the record. */
export function findUnusable(config: IdentityConfig, { identifiers }: Pick<SourceRecord, 'identifiers'>): Problem[] {
  return identifiers.flatMap(({ type, value }, i): Problem[] => {
    const how = config.identifiers[rankOf(config, type)]?.normalise
    if (how === undefined || value.trim() === '') return []
    const written = normalise(value, how)
    if (written !== '' && !isNobodys(config, type, written)) return []
    // The value itself may be somebody's, or two people's.
    return [
      {
        path: `identifiers.${i}.value`,
        message:
          written === ''
            ? said(`${type} 用不了：不是一个号码`, `${type}: is not one number`)
            : said(
                `${type} 用不了：是占位（如 null）或被忽略的值`,
                `${type}: is a placeholder such as null, or is ignored`,
              ),
        hint:
          written === ''
            ? said('改正或不填；其余照常', 'correct it, or leave it out; the rest is taken')
            : said(
                '不填；确实是某个人的，就写进 config/identity.yaml 的 allow',
                'leave it out; where it is somebody’s own, name it under `allow` in config/identity.yaml',
              ),
      },
    ]
  })
}

/**
 * Who is each record about? Pure and deterministic: records are taken in order, the older profile survives a merge.
 *
 * @param known - links of every identifier in the batch, and the profiles they name (survivors only)
 * @param nextProfileId - first id that is free
 */
export function resolveIdentities(
  config: IdentityConfig,
  records: readonly InboxRecord[],
  known: Known,
  nextProfileId: number,
): Resolution {
  const draft = new Draft(config, known, nextProfileId)
  return draft.result(records.map((record) => draft.take(record)))
}

type Taken = { profileId: number; unit: string }

class Draft {
  private readonly links = new Map<string, IdentifierLink>()
  private readonly profiles = new Map<number, Profile>()
  private readonly changed = new Set<number>()
  private readonly evidence = new Map<string, Evidence>()
  private readonly conflicts: Conflict[] = []
  private readonly merges: Merge[] = []

  constructor(
    private readonly config: IdentityConfig,
    private readonly known: Known,
    private nextProfileId: number,
  ) {}

  take(record: InboxRecord): Taken | undefined {
    const taken = record.profileId === undefined ? this.resolve(record) : this.named(record.profileId)
    if (taken === undefined) return undefined
    this.addFacts(taken.base, record)
    return { profileId: taken.base._id, unit: taken.unit }
  }

  private named(profileId: number): { base: Profile; unit: string } | undefined {
    const base = this.survivor(profileId)
    return base === undefined ? undefined : { base, unit: profileUnit(profileId) }
  }

  private resolve(record: InboxRecord): { base: Profile; unit: string } | undefined {
    const identifiers = usableIdentifiers(this.config, record)
    if (identifiers.length === 0) return undefined
    let base: Profile | undefined
    let owner = ''
    const mine: Identifier[] = []
    for (const identifier of identifiers) {
      const link = this.link(linkKey(identifier))
      const hit = link === undefined ? undefined : this.profile(link.profileId)
      const weak = this.rule(identifier.type).strength === 'weak'
      if (link === undefined || hit === undefined) {
        mine.push(identifier)
      } else if (base === undefined) {
        const stop = this.whatStops(record, mine, undefined, hit, weak, link.shared)
        if (stop === undefined) {
          base = hit
          owner = linkKey(identifier)
        } else this.refuse(record, identifier, stop, [hit._id], link, weak)
      } else if (hit._id !== base._id) {
        const stop = this.whatStops(record, mine, base, hit, weak, link.shared)
        if (stop === undefined) base = this.merge(base, hit, record, identifier.type)
        else this.refuse(record, identifier, stop, [base._id, hit._id], link, weak)
      }
    }
    if (base === undefined) {
      const [first] = mine
      owner = first === undefined ? sharedKey(identifiers[0]!) : linkKey(first)
      base = first === undefined ? this.holderOf(identifiers[0]!, record) : this.create(record, owner)
    }
    for (const identifier of mine) this.attach(base, identifier, record)
    this.addEvidence(record, identifiers, base)
    return { base, unit: identityUnit(owner) }
  }

  /** Why this record (with `mine` new identifiers, and `base` if it has one) cannot be the person of `hit`. */
  private whatStops(
    record: SourceRecord,
    mine: readonly Identifier[],
    base: Profile | undefined,
    hit: Profile,
    weak: boolean,
    shared: boolean,
  ): { kind: Conflict['kind']; by: string } | undefined {
    if (weak && shared) return { kind: 'shared_identifier', by: 'shared' }
    const ours = [...mine, ...(base?.identifiers ?? [])]
    for (const rule of this.config.identifiers) {
      const values = new Set(ours.filter((i) => typeName(i.type) === rule.type).map(linkKey))
      const theirs = new Set(hit.identifiers.filter((i) => typeName(i.type) === rule.type).map(linkKey))
      const together = new Set([...values, ...theirs])
      if (together.size > rule.max) return { kind: 'too_many', by: rule.type }
      if (
        weak &&
        rule.strength === 'strong' &&
        values.size > 0 &&
        theirs.size > 0 &&
        together.size === values.size + theirs.size
      ) {
        return { kind: 'contradiction', by: rule.type }
      }
    }
    if (!weak) return undefined
    for (const trait of this.config.agree) {
      const said = own(record.traits, trait) ?? (base === undefined ? undefined : traitValue(base, trait))
      const theirs = traitValue(hit, trait)
      if (said !== undefined && theirs !== undefined && said !== theirs) return { kind: 'contradiction', by: trait }
    }
    return undefined
  }

  /** What is known only by a shared identifier belongs to nobody in particular: it is kept on a profile of its own. */
  private holderOf(identifier: Identifier, record: SourceRecord): Profile {
    const key = sharedKey(identifier)
    const link = this.link(key)
    const known = link === undefined ? undefined : this.profile(link.profileId)
    if (known !== undefined) return known
    const holder = this.create(record, key)
    this.links.set(key, {
      _id: key,
      type: SHARED,
      value: linkKey(identifier),
      profileId: holder._id,
      shared: true,
      since: record.observedAt,
    })
    return holder
  }

  private refuse(
    record: SourceRecord,
    identifier: Identifier,
    stop: { kind: Conflict['kind']; by: string },
    profileIds: number[],
    link: IdentifierLink,
    weak: boolean,
  ): void {
    if (weak && !link.shared) this.links.set(link._id, { ...link, shared: true })
    this.conflicts.push({
      _id: `${record.ref}:${identifier.type}:${hashKey(8, identifier.value)}`,
      at: record.observedAt,
      source: record.source,
      ref: record.ref,
      kind: stop.kind,
      linkType: identifier.type,
      stoppedBy: stop.by,
      profileIds,
    })
  }

  private create(record: SourceRecord, anchor: string): Profile {
    const profile: Profile = {
      _id: this.nextProfileId++,
      anchor,
      createdAt: record.observedAt,
      identifiers: [],
      traits: keyed(),
      contacts: [],
      mergedIds: [],
    }
    this.profiles.set(profile._id, profile)
    this.changed.add(profile._id)
    return profile
  }

  private attach(profile: Profile, identifier: Identifier, record: SourceRecord): void {
    const rule = this.rule(identifier.type)
    const same = profile.identifiers.filter((i) => typeName(i.type) === rule.type)
    if (same.length >= rule.max) {
      this.conflicts.push({
        _id: `${record.ref}:${identifier.type}:${hashKey(8, identifier.value)}`,
        at: record.observedAt,
        source: record.source,
        ref: record.ref,
        kind: 'too_many',
        linkType: identifier.type,
        stoppedBy: rule.type,
        profileIds: [profile._id],
      })
      return
    }
    this.changed.add(profile._id)
    profile.identifiers.push({ ...identifier, source: record.source, since: record.observedAt })
    this.links.set(linkKey(identifier), {
      _id: linkKey(identifier),
      ...identifier,
      profileId: profile._id,
      shared: false,
      since: record.observedAt,
    })
  }

  private merge(x: Profile, y: Profile, record: SourceRecord, linkType: string): Profile {
    const [to, from] = isOlder(x, y) ? [x, y] : [y, x]
    for (const identifier of from.identifiers) {
      if (!to.identifiers.some((i) => i.type === identifier.type && i.value === identifier.value))
        to.identifiers.push({ ...identifier })
      const key = linkKey(identifier)
      const link = this.link(key)
      this.links.set(key, {
        _id: key,
        type: identifier.type,
        value: identifier.value,
        since: identifier.since,
        shared: link?.shared ?? false,
        profileId: to._id,
      })
    }
    for (const [trait, bySource] of Object.entries(from.traits)) {
      const mine = (to.traits[trait] ??= keyed())
      for (const [source, said] of Object.entries(bySource)) {
        const own = mine[source]
        if (own === undefined || said.at > own.at) mine[source] = said
      }
    }
    for (const contact of from.contacts) addContact(to, { ...contact })
    applyConsent(to, from)
    to.mergedIds = [...to.mergedIds, from._id, ...from.mergedIds].sort((a, b) => a - b)
    from.mergedInto = to._id
    this.changed.add(to._id).add(from._id)
    this.merges.push({ from: from._id, to: to._id, at: record.observedAt, linkType, source: record.source })
    return to
  }

  private addFacts(profile: Profile, record: SourceRecord): void {
    for (const [trait, value] of Object.entries(record.traits)) {
      const bySource = (profile.traits[trait] ??= keyed())
      const said = bySource[record.source]
      if (said !== undefined && said.at > record.observedAt) continue
      this.changed.add(profile._id)
      bySource[record.source] = { value, at: record.observedAt }
    }
    for (const event of record.events) if (applyEvent(profile, event)) this.changed.add(profile._id)
  }

  private addEvidence(record: SourceRecord, identifiers: readonly Identifier[], base: Profile): void {
    for (const [a, b] of evidencePairs(identifiers.map(linkKey))) {
      const used = [a, b].every((key) => this.link(key)?.profileId === base._id)
      const _id = `${record.source}|${a}|${b}`
      if (!this.evidence.has(_id))
        this.evidence.set(_id, { _id, a, b, source: record.source, at: record.observedAt, used })
    }
  }

  private link(key: string): IdentifierLink | undefined {
    return this.links.get(key) ?? this.known.links.get(key)
  }

  private profile(profileId: number): Profile | undefined {
    let profile = this.profiles.get(profileId)
    if (profile === undefined) {
      const stored = this.known.profiles.get(profileId)
      if (stored === undefined) return undefined
      profile = copyOf(stored)
      this.profiles.set(profileId, profile)
    }
    return profile
  }

  private survivor(profileId: number): Profile | undefined {
    const profile = this.profile(profileId)
    return profile?.mergedInto === undefined ? profile : this.survivor(profile.mergedInto)
  }

  private rule(type: string): IdentityConfig['identifiers'][number] {
    return this.config.identifiers[rankOf(this.config, type)]!
  }

  result(taken: readonly (Taken | undefined)[]): Resolution {
    // A record early in the batch may name a profile that a later record merged away.
    const profileIds = taken.map((t) => (t === undefined ? undefined : this.survivor(t.profileId)?._id))
    return {
      profileIds,
      units: taken.map((t) => t?.unit ?? ''),
      profiles: [...this.profiles.values()]
        .filter((p) => this.changed.has(p._id))
        .map((p) => (p.mergedInto === undefined ? p : { ...p, mergedInto: this.survivor(p._id)!._id }))
        .sort((a, b) => a._id - b._id),
      links: [...this.links.values()].sort((a, b) => (a._id < b._id ? -1 : 1)),
      evidence: [...this.evidence.values()],
      conflicts: this.conflicts,
      merges: this.merges.map((m) => ({ ...m, to: this.survivor(m.to)!._id })),
      nextProfileId: this.nextProfileId,
    }
  }
}

/** Deep enough to be changed here; instants are never changed in place. */
function copyOf(profile: Profile): Profile {
  return {
    ...profile,
    identifiers: profile.identifiers.map((i) => ({ ...i })),
    traits: keyed(
      Object.entries(profile.traits).map(([trait, bySource]) => [trait, keyed(Object.entries(bySource))] as const),
    ),
    contacts: profile.contacts.map((c) => ({ ...c })),
    mergedIds: [...profile.mergedIds],
  }
}

function isOlder(a: Profile, b: Profile): boolean {
  const ms = a.createdAt.getTime() - b.createdAt.getTime()
  return ms < 0 || (ms === 0 && a._id < b._id)
}

function rankOf(config: IdentityConfig, type: string): number {
  return config.identifiers.findIndex((i) => i.type === typeName(type))
}

type HowWritten = IdentityConfig['identifiers'][number]['normalise']

/** A value as it is compared with others; '' where it cannot be one. */
export function normalise(value: string, how: HowWritten): string {
  if (how === 'lower') return value.trim().toLowerCase()
  return how === 'none' ? value.trim() : phoneOf(value)
}

/**
 * A phone number as it is compared: digits of whatever width, without what forms, spreadsheets and people put around them
 * (blanks, dashes, brackets, quotes, a mark behind, `.0`, invisible signs) and without a Chinese country code, also one
 * without a plus; 11 digits stay. One that is masked, or has an extension as a shop's virtual numbers do, is nobody's own.
 */
function phoneOf(value: string): string {
  const written = value
    .normalize('NFKC')
    .replace(/[\s\p{Cc}\p{Cf}]/gu, '')
    .replace(/^['"‘“]+|['"’”,;.、。，；]+$/gu, '')
    .replace(/\.0+$/, '')
  if (/\*|^(\+?86-?)?1\d{10}\p{Pd}\d+$/u.test(written)) return ''
  const digits = written.replace(/[()\p{Pd}]/gu, '').replace(/^(\+86|0086|86(?=1\d{10}$))/, '')
  return /^\+?\d{5,15}$/.test(digits) ? digits : ''
}
