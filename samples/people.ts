import { hashKey, intOf, unitOf } from '../src/random.js'

/** A customer number of the orders file and the time of its first order (or cancellation, when there is no order). */
export type Buyer = { customer: string; firstAt: Date }

export type People = {
  /** `members.csv`, `wecom-contacts.csv`, `members-truth.csv`: whole files, LF, header first. */
  members: string
  contacts: string
  truth: string
  counts: PeopleCounts
}
export type PeopleCounts = {
  persons: number
  buyers: number
  neverBought: number
  memberRows: number
  rowsBySystem: Record<System, number>
  contacts: number
  contactsWithoutUnionid: number
  contactsWithoutAny: number
  /** Persons only one row, of any system or WeCom, knows. */
  oneRowPersons: number
  /** Pairs of rows of one person, and those of them that identifiers the person's rows share can join at all. */
  truePairs: number
  linkablePairs: number
  byClass: Record<Class, number>
}

type System = 'crm' | 'mini_program' | 'store_pos'
type Class = 'plain' | 'family_phone' | 'reused_phone' | 'two_phones' | 'two_cards' | 'two_unionids' | 'mistyped_phone'

type Person = {
  id: string
  index: number
  memberId: string
  phone: string
  unionId: string
  registeredAt: Date
  isBuyer: boolean
  kind: Class
  /** What `kind` adds: the other person's phone, or this one's second phone, card or unionid. */
  otherPhone?: string
  secondCard?: { memberId: string; by: 'phone' | 'unionid' }
  secondUnionId?: string
}
type MemberRow = { at: Date; system: System; person: Person; memberId: string; phone: string; unionId: string }
type Contact = { at: Date; person: Person; externalUserId: string; unionId: string; remarkMobile: string }

const SEED = 1
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const FIRST_AT = new Date('2010-11-10T00:00:00Z')
const LAST_AT = new Date('2011-12-09T12:00:00Z')
const NEVER_BOUGHT = 900
const NEVER_BOUGHT_FROM = new Date('2010-12-01T09:00:00Z')

const CITIES = ['上海', '上海', '上海', '杭州', '杭州', '北京', '北京', '广州', '深圳', '成都', '南京', '武汉']
const STATES = ['store_qr', 'package_card', 'mini_program', 'guide_card']
const GUIDES = 24

/** How many persons have identifiers that do not simply tell who they are; pairs count as two. */
const DIFFICULT = {
  family_phone: 72,
  reused_phone: 40,
  two_phones: 50,
  two_cards: 50,
  two_unionids: 30,
  mistyped_phone: 60,
} as const satisfies Record<Exclude<Class, 'plain'>, number>

/**
 * Invents who stands behind the customer numbers, what each system knows about them, and the truth. The same buyers
 * give the same bytes: every choice hashes (seed, purpose, person). Rows are sorted by time, then by who they are of.
 */
export function inventPeople(buyers: readonly Buyer[]): People {
  const persons = [...buyers.toSorted((a, b) => Number(a.customer) - Number(b.customer)).map(toBuyer)]
  for (let k = 0; k < NEVER_BOUGHT; k++) persons.push(toNeverBought(k, persons.length + 1))
  makeDifficult(persons)

  const rows = persons
    .flatMap(toMemberRows)
    .sort((a, b) => a.at.getTime() - b.at.getTime() || a.person.index - b.person.index)
  const contacts = persons
    .flatMap(toContact)
    .sort((a, b) => a.at.getTime() - b.at.getTime() || a.person.index - b.person.index)
  const numbered = rows.map((row, i) => ({ ...row, recordId: `m${String(i + 1).padStart(5, '0')}` }))

  return {
    members: toCsv(
      ['record_id', 'system', 'registered_at', 'member_id', 'phone', 'unionid', 'name', 'city', 'birthday', 'consent'],
      numbered.map((r) => [
        r.recordId,
        r.system,
        iso(r.at),
        r.memberId,
        r.phone,
        r.unionId,
        ...traitsOf(r.person, r.system),
      ]),
    ),
    contacts: toCsv(
      ['external_userid', 'unionid', 'remark_mobile', 'name', 'gender', 'added_at', 'owner', 'state'],
      contacts.map((c) => [c.externalUserId, c.unionId, c.remarkMobile, nameOf(c.person), ...addedBy(c.person, c.at)]),
    ),
    truth: toCsv(
      ['record_id', 'person'],
      [...numbered.map((r) => [r.recordId, r.person.id]), ...contacts.map((c) => [c.externalUserId, c.person.id])],
    ),
    counts: count(persons, rows, contacts),
  }
}

function toBuyer({ customer, firstAt }: Buyer, i: number): Person {
  const early = draw('early', customer) < 0.15
  const days = early ? 8 + draw('days', customer) * 12 : 7 * draw('days', customer) ** 2
  const registeredAt = toMinute(new Date(firstAt.getTime() - days * DAY_MS))
  return { ...identity(customer, i + 1), memberId: customer, registeredAt, isBuyer: true }
}

/** Evenly over the year: one in each of equally long stretches. */
function toNeverBought(k: number, index: number): Person {
  const key = `never-${k}`
  const stretchMs = (LAST_AT.getTime() - NEVER_BOUGHT_FROM.getTime()) / NEVER_BOUGHT
  const registeredAt = toMinute(new Date(NEVER_BOUGHT_FROM.getTime() + (k + draw('stretch', key)) * stretchMs))
  return { ...identity(key, index), memberId: `M${pad(index)}`, registeredAt, isBuyer: false }
}

function identity(key: string, index: number): Pick<Person, 'id' | 'index' | 'phone' | 'unionId' | 'kind'> {
  return {
    id: `p${pad(index)}`,
    index,
    phone: phoneOf(index),
    unionId: `oSYN${hashKey(24, SEED, 'unionid', key)}`,
    kind: 'plain',
  }
}

function makeDifficult(persons: readonly Person[]): void {
  const pool = persons.filter((p) => p.isBuyer).toSorted((a, b) => draw('difficult', a.id) - draw('difficult', b.id))
  const take = (kind: Class, fits: (p: Person) => boolean = () => true): Person => {
    const person = pool.find((p) => p.kind === 'plain' && fits(p))
    if (person === undefined) throw new RangeError(`too few buyers to make one of class ${kind}`)
    person.kind = kind
    return person
  }
  const couples = (kind: keyof typeof DIFFICULT): number[] => Array.from({ length: DIFFICULT[kind] / 2 }, (_, n) => n)
  const singles = (kind: keyof typeof DIFFICULT): number[] => Array.from({ length: DIFFICULT[kind] }, (_, n) => n)

  for (const _ of couples('family_phone')) {
    const owner = take('family_phone')
    take('family_phone').otherPhone = owner.phone
  }
  for (const _ of couples('reused_phone')) {
    const before = take('reused_phone', (p) => p.registeredAt < new Date('2011-03-01T00:00:00Z'))
    const after = take('reused_phone', (p) => p.registeredAt > new Date('2011-09-15T00:00:00Z'))
    after.otherPhone = before.phone
  }
  for (const _ of couples('mistyped_phone')) {
    const victim = take('mistyped_phone')
    take('mistyped_phone').otherPhone = victim.phone
  }
  for (const _ of singles('two_phones')) {
    const person = take('two_phones')
    person.otherPhone = phoneOf(50_000 + person.index)
  }
  for (const n of singles('two_cards')) {
    const person = take('two_cards')
    person.secondCard = { memberId: `M9${pad(person.index)}`, by: n % 2 === 0 ? 'phone' : 'unionid' }
  }
  for (const _ of singles('two_unionids')) {
    const person = take('two_unionids')
    person.secondUnionId = `oSYN${hashKey(24, SEED, 'second unionid', person.id)}`
  }
}

/** What the shop's systems know. A buyer's crm row always carries the customer number. */
function toMemberRows(person: Person): MemberRow[] {
  const { id, kind, isBuyer, memberId, unionId, registeredAt } = person
  const sure = kind !== 'plain'
  const takesPart = (share: number, ...purpose: string[]): boolean => sure || draw(...purpose, id) < share
  const row = (system: System, delayMs: number, known: Partial<MemberRow>): MemberRow => {
    const at = within(registeredAt, delayMs)
    return { at, system, person, memberId: '', phone: '', unionId: '', ...known }
  }
  // Family members and the later owner of a number know no other; a typist errs in one place, here the mini program.
  const ownPhone =
    kind === 'family_phone' || kind === 'reused_phone' ? (person.otherPhone ?? person.phone) : person.phone
  const miniPhone = kind === 'mistyped_phone' || kind === 'two_phones' ? (person.otherPhone ?? person.phone) : ownPhone

  const rows: MemberRow[] = []
  const inCrm = isBuyer || takesPart(0.35, 'crm')
  if (inCrm) rows.push(row('crm', 0, { memberId, phone: takesPart(0.75, 'crm phone') ? ownPhone : '' }))
  const inMini = takesPart(isContact(person) ? 0.9 : 0.35, 'mini')
  if (inMini) {
    const phone = takesPart(0.8, 'mini phone') ? miniPhone : ''
    const card = inCrm && takesPart(0.6, 'mini member') ? memberId : ''
    // With two unionids it is the phone alone that says the two are one person.
    const memberIdKnown = kind === 'two_unionids' ? '' : card
    rows.push(row('mini_program', inCrm ? laterMs('mini delay', id) : 0, { unionId, phone, memberId: memberIdKnown }))
  }
  if ((!inCrm && !inMini) || (!sure && draw('pos', id) < 0.25)) {
    const card = inCrm && draw('pos member', id) < 0.4 ? memberId : ''
    rows.push(row('store_pos', inCrm || inMini ? laterMs('pos delay', id) : 0, { phone: ownPhone, memberId: card }))
  }
  if (person.secondCard !== undefined) {
    const known = { memberId: person.secondCard.memberId, phone: ownPhone }
    const later = DAY_MS + laterMs('second card delay', id)
    if (person.secondCard.by === 'phone') rows.push(row('crm', later, known))
    else rows.push(row('mini_program', later, { ...known, phone: '', unionId }))
  }
  return rows
}

/** The contact a guide has of the person, if any. */
function toContact(person: Person): Contact[] {
  if (!isContact(person)) return []
  const { id, kind, registeredAt } = person
  const when = draw('added when', id)
  const far = draw('added far', id)
  const delayDays = when < 0.7 ? 3 * far : when < 0.9 ? 3 + 57 * far : -5 * far
  const hasUnionId = kind !== 'plain' || draw('contact unionid', id) >= 0.1
  const hasRemark = kind === 'two_unionids' || draw('remark', id) < (hasUnionId ? 0.15 : 0.5)
  const ownPhone =
    kind === 'family_phone' || kind === 'reused_phone' ? (person.otherPhone ?? person.phone) : person.phone
  return [
    {
      at: within(registeredAt, delayDays * DAY_MS),
      person,
      externalUserId: `wmSYN${hashKey(27, SEED, 'external_userid', id)}`,
      unionId: hasUnionId ? (person.secondUnionId ?? person.unionId) : '',
      remarkMobile: hasRemark ? ownPhone : '',
    },
  ]
}

function isContact({ kind, id }: Person): boolean {
  return kind === 'two_unionids' || draw('contact', id) < 0.75
}

function traitsOf(person: Person, system: System): string[] {
  const { id } = person
  const city = draw('city known', id) < 0.85 ? CITIES[intOf(CITIES.length, SEED, 'city', id)]! : ''
  const bornMs = Date.UTC(1955, 0, 1) + intOf(50 * 365, SEED, 'birthday', id) * DAY_MS
  const birthday = draw('birthday known', id) < 0.6 ? new Date(bornMs).toISOString().slice(0, 10) : ''
  const said = draw('consent', id)
  const consent = said < 0.92 ? 'yes' : said < 0.97 ? 'no' : ''
  // The till asks for a phone number and nothing else.
  return system === 'store_pos' ? [nameOf(person), '', '', consent] : [nameOf(person), city, birthday, consent]
}

function addedBy({ id }: Person, at: Date): string[] {
  const gender = draw('gender', id)
  const guide = 1 + intOf(GUIDES, SEED, 'guide', id)
  return [
    gender < 0.1 ? '0' : gender < 0.3 ? '1' : '2',
    iso(at),
    `guide-${String(guide).padStart(3, '0')}`,
    STATES[intOf(STATES.length, SEED, 'state', id)]!,
  ]
}

/** Mostly at once, sometimes days, seldom months later. */
function laterMs(purpose: string, id: string): number {
  const when = draw(purpose, 'when', id)
  const far = draw(purpose, 'far', id)
  return when < 0.6 ? far * 30 * MINUTE_MS : when < 0.85 ? (1 + 9 * far) * DAY_MS : (10 + 80 * far) * DAY_MS
}

/** `delayMs` after (or before) an instant, drawn in where it would leave the time the samples cover. */
function within(from: Date, delayMs: number): Date {
  const to = from.getTime() + delayMs
  if (to > LAST_AT.getTime()) {
    const leftMs = LAST_AT.getTime() - from.getTime()
    return toMinute(new Date(from.getTime() + leftMs * (1 - Math.exp(-delayMs / (30 * DAY_MS)))))
  }
  return toMinute(new Date(Math.max(to, FIRST_AT.getTime())))
}

function count(persons: readonly Person[], rows: readonly MemberRow[], contacts: readonly Contact[]): PeopleCounts {
  const known = new Map<Person, string[][]>()
  const add = (person: Person, ...identifiers: string[]): void => {
    known.set(person, [...(known.get(person) ?? []), identifiers.filter((value) => value !== '')])
  }
  for (const r of rows) add(r.person, r.memberId, r.phone, r.unionId)
  for (const c of contacts) add(c.person, c.externalUserId, c.unionId, c.remarkMobile)
  const perPerson = [...known.values()]
  const ofClass = (kind: Class): number => persons.filter((p) => p.kind === kind).length
  const ofSystem = (system: System): number => rows.filter((r) => r.system === system).length
  return {
    persons: persons.length,
    buyers: persons.filter((p) => p.isBuyer).length,
    neverBought: persons.filter((p) => !p.isBuyer).length,
    memberRows: rows.length,
    rowsBySystem: { crm: ofSystem('crm'), mini_program: ofSystem('mini_program'), store_pos: ofSystem('store_pos') },
    contacts: contacts.length,
    contactsWithoutUnionid: contacts.filter((c) => c.unionId === '').length,
    contactsWithoutAny: contacts.filter((c) => c.unionId === '' && c.remarkMobile === '').length,
    oneRowPersons: perPerson.filter((records) => records.length === 1).length,
    truePairs: sum(perPerson.map((records) => pairs(records.length))),
    linkablePairs: sum(perPerson.flatMap((records) => joinable(records).map(pairs))),
    byClass: {
      plain: ofClass('plain'),
      family_phone: ofClass('family_phone'),
      reused_phone: ofClass('reused_phone'),
      two_phones: ofClass('two_phones'),
      two_cards: ofClass('two_cards'),
      two_unionids: ofClass('two_unionids'),
      mistyped_phone: ofClass('mistyped_phone'),
    },
  }
}

/** Sizes of the groups that rows form when those which share an identifier are joined. */
function joinable(records: readonly (readonly string[])[]): number[] {
  let groups: { identifiers: Set<string>; size: number }[] = []
  for (const identifiers of records) {
    const touched = groups.filter((g) => identifiers.some((value) => g.identifiers.has(value)))
    const joined = new Set([...identifiers, ...touched.flatMap((g) => [...g.identifiers])])
    const size = 1 + sum(touched.map((g) => g.size))
    groups = [...groups.filter((g) => !touched.includes(g)), { identifiers: joined, size }]
  }
  return groups.map((g) => g.size)
}

function pairs(n: number): number {
  return (n * (n - 1)) / 2
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0)
}

function draw(...purpose: string[]): number {
  return unitOf(SEED, ...purpose)
}

/** No Chinese mobile number starts with 100. */
function phoneOf(n: number): string {
  return String(10_000_000_000 + n)
}

function nameOf(person: Person): string {
  return `客户 ${pad(person.index)}`
}

function pad(n: number): string {
  return String(n).padStart(5, '0')
}

function toMinute(at: Date): Date {
  return new Date(Math.floor(at.getTime() / MINUTE_MS) * MINUTE_MS)
}

function iso(at: Date): string {
  return at.toISOString().replace('.000Z', 'Z')
}

function toCsv(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [header, ...rows].map((row) => `${row.join(',')}\n`).join('')
}
