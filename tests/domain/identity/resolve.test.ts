import { describe, expect, it } from '@jest/globals'
import { SourceRecord } from '../../../src/domain/events/record.js'
import { IdentityConfig } from '../../../src/domain/identity/config.js'
import {
  evidencePairs,
  type IdentifierLink,
  type InboxRecord,
  type Known,
  linkKey,
  resolveIdentities,
  type Resolution,
  findIdentifierProblem,
  findUnusable,
  usableIdentifiers,
} from '../../../src/domain/identity/resolve.js'
import { type Profile, traitTexts } from '../../../src/domain/identity/profile.js'
import { parseInput } from '../../../src/parse.js'
import { Dice } from '../../support/random-rules.js'

const config = parseInput(IdentityConfig, {
  identifiers: [
    { type: 'unionid', strength: 'strong', max: 1 },
    { type: 'member_id', strength: 'strong', max: 2 },
    { type: 'openid', strength: 'strong', max: 3 },
    { type: 'email', strength: 'weak', max: 2, normalise: 'lower' },
    { type: 'phone', strength: 'weak', max: 2, normalise: 'phone' },
  ],
  agree: ['birthday'],
  ignore: [{ type: 'phone', value: '10000000000' }],
})

/** `unionid:u1 phone:13800000000 birthday=1990-01-01` on that day of March, from that source. */
function record(day: number, text: string, source = 'crm'): SourceRecord {
  const words = text.split(' ')
  const split = (word: string) => {
    const i = word.lastIndexOf(':')
    return { type: word.slice(0, i), value: word.slice(i + 1) }
  }
  return parseInput(SourceRecord, {
    ref: `${source}:${day}:${text}`,
    source,
    observedAt: new Date(Date.UTC(2026, 2, day)),
    identifiers: words.filter((w) => w.includes(':')).map(split),
    traits: Object.fromEntries(words.filter((w) => w.includes('=')).map((w) => w.split('=') as [string, string])),
  })
}

/** Batches one after the other, each on what the earlier ones left. */
function resolveAll(...batches: InboxRecord[][]): Resolution & { known: Known } {
  const links = new Map<string, IdentifierLink>()
  const profiles = new Map<number, Profile>()
  let last: Resolution | undefined
  let next = 1
  for (const batch of batches) {
    last = resolveIdentities(config, batch, { links, profiles }, next)
    for (const link of last.links) links.set(link._id, link)
    for (const profile of last.profiles) profiles.set(profile._id, profile)
    next = last.nextProfileId
  }
  return { ...last!, known: { links, profiles } }
}

describe('usableIdentifiers', () => {
  it('puts the most trusted first, normalised, once, without what is ignored or unknown', () => {
    const found = usableIdentifiers(
      config,
      record(1, 'phone:+86-138-0000-0000 phone:10000000000 qq:123 email:A@B.COM unionid:u1 phone:13800000000'),
    )
    expect(found.map(linkKey)).toEqual(['unionid:u1', 'email:a@b.com', 'phone:13800000000'])
  })

  it.each([
    ['138 0000 0000', '13800000000'],
    ['0086 138-0000-0000', '13800000000'],
    ['(020) 1234567', '0201234567'],
    ['8613800000011', '13800000011'],
    ['86 138 0000 0011', '13800000011'],
    ['8612345', '8612345'],
    ['861380000001', '861380000001'],
    ['+447700900000', '+447700900000'],
    ['no phone', undefined],
    ['123', undefined],
    ['1380000****', undefined], // masked
    ['138****0011', undefined],
    ['13800000011-1234', undefined], // a virtual number of a shop and its extension
  ])('reads the phone %j as %j', (value, expected) => {
    const r = { ...record(1, 'unionid:u1'), identifiers: [{ type: 'phone', value }] }
    expect(usableIdentifiers(config, r).map((i) => i.value)).toEqual(expected === undefined ? [] : [expected])
  })
})

describe('what programs write where they have no value', () => {
  const usable = (value: string, type = 'member_id', changes: object = {}) => {
    const r = { ...record(1, 'unionid:u1'), identifiers: [{ type, value }] }
    return usableIdentifiers({ ...config, ...changes }, r).map((i) => i.value)
  }
  const unseen = [
    '\u200b',
    '\ufeff',
    '\u00a0',
    '\u00ad',
    '\u2060',
    '\u200e',
    '\u3164',
    '\u2800',
    '\ufe0f',
    '\u3000',
    '\t',
  ]

  it.each([
    ...[
      'undefined',
      'null',
      'NULL',
      ' None ',
      'NaN',
      'nan',
      'n/a',
      '"null"',
      "'undefined'",
      '(null)',
      '\\N',
      '[object Object]',
    ],
    ...[
      'true',
      'False',
      'guest',
      'unknown',
      '无',
      '0',
      '000',
      '---',
      '{}',
      '?',
      '888888',
      '11111111111',
      'member_id',
      'ｎｕｌｌ',
    ],
    ...['00000000-0000-0000-0000-000000000000', '00:00:00:00:00:00', '\u200b'],
    ...unseen.flatMap((sign) => [`null${sign}`, `${sign}null`, `nu${sign.trim() === '' ? '' : sign}ll`]),
  ])('%j is nobody’s identifier', (value) => {
    expect(usable(value)).toEqual([])
    const r = { ...record(1, 'unionid:u1'), identifiers: [{ type: 'member_id', value }] }
    expect(findIdentifierProblem(config, r)?.message).toContain('placeholder')
  })

  it.each([
    'null1',
    'nullpointer',
    'u-undefined',
    '007',
    'nan-fang',
    'Na',
    'Nan',
    'na',
    'Guest',
    'Nil',
    'Unknown',
    'id',
    'object',
    'email',
    '88888',
    '8888889',
    '1',
    '无忧',
    'a\u200bb',
  ])('%j only looks like it', (value) => expect(usable(value)).toEqual([value]))

  it.each(['13800138000', '+86 138 0013 8000', '00000000000', '99999999999'])('the phone %s is nobody’s', (value) =>
    expect(usable(value, 'phone')).toEqual([]),
  )

  it('the brand’s configuration gives one to somebody, and takes others from everybody, letter by letter', () => {
    const allow = [
      { type: 'member_id', value: 'guest' },
      { type: 'openid', value: '0' },
      { type: 'phone', value: '13800138000' },
    ]
    const ignore = [{ type: 'openid', value: 'Till' }]
    const of = (value: string, type?: string) => usable(value, type, { allow, ignore })
    expect([of('guest'), of('0'), of('0', 'openid:wx1'), of('138 0013 8000', 'phone')]).toEqual([
      ['guest'],
      [],
      ['0'],
      ['13800138000'],
    ])
    expect([of('Till', 'openid:wx1'), of('till', 'openid:wx1'), of('Till')]).toEqual([[], ['till'], ['Till']])
  })

  it('is told of a record that is taken for what else it names', () => {
    const r = record(1, 'member_id:null unionid:u1 phone:13800000000')
    expect(findUnusable(config, r)).toMatchObject([
      {
        path: 'identifiers.0.value',
        message: expect.stringContaining('placeholder') as unknown,
        hint: expect.stringContaining('allow') as unknown,
      },
    ])
  })

  it('joins nobody: strangers stay four', () => {
    const r = resolveAll([
      record(1, 'unionid:undefined member_id:A1'),
      record(1, 'unionid:undefined member_id:A2'),
      record(1, 'openid:wx1:null phone:10000000104'),
      record(1, 'openid:wx1:null phone:10000000105'),
    ])
    expect(new Set(r.profileIds).size).toBe(4)
    expect(r.merges).toEqual([])
  })
})

describe('findIdentifierProblem', () => {
  it('says which types were given and which are known, and nothing when one will do', () => {
    const { path, message, hint } = findIdentifierProblem(config, record(1, 'fax:1'))!
    expect(path).toBe('identifiers')
    expect(message).toContain('(fax)')
    expect(hint).toContain('unionid')
    expect(findIdentifierProblem(config, record(1, 'fax:1 unionid:u1'))).toBeUndefined()
  })
})

describe('resolveIdentities', () => {
  it('gives unknown people new profiles, numbered from the free id', () => {
    const r = resolveIdentities(
      config,
      [record(1, 'unionid:u1'), record(1, 'unionid:u2'), record(2, 'unionid:u1 member_id:m1')],
      { links: new Map(), profiles: new Map() },
      7,
    )
    expect(r.profileIds).toEqual([7, 8, 7])
    expect(r.nextProfileId).toBe(9)
    expect(r.profiles.map((p) => p.anchor)).toEqual(['unionid:u1', 'unionid:u2'])
  })

  it('treats every openid app as the one type openid', () => {
    const r = resolveAll([record(1, 'openid:wxA:o1'), record(1, 'openid:wxB:o2 openid:wxA:o1')])
    expect(r.profileIds).toEqual([1, 1])
  })

  it('joins two profiles that a strong identifier pair names, and the older one survives', () => {
    const r = resolveAll([record(5, 'unionid:u1')], [record(3, 'member_id:m1')], [record(6, 'unionid:u1 member_id:m1')])
    expect(r.merges).toMatchObject([{ from: 1, to: 2, linkType: 'member_id' }])
    expect(r.profileIds).toEqual([2])
    expect(r.known.profiles.get(2)).toMatchObject({ anchor: 'member_id:m1', mergedIds: [1] })
    expect(r.known.profiles.get(1)?.mergedInto).toBe(2)
    expect([...r.known.links.values()].map((l) => l.profileId)).toEqual([2, 2])
  })

  it('lets the lower id survive of two that began at one instant', () => {
    const r = resolveAll([record(3, 'member_id:m1'), record(3, 'unionid:u1')], [record(3, 'unionid:u1 member_id:m1')])
    expect(r.merges).toMatchObject([{ from: 2, to: 1 }])
  })

  it('points every member of a chain of merges at the last survivor, in one batch and over batches', () => {
    const people = [record(3, 'member_id:a'), record(2, 'unionid:b'), record(1, 'openid:wx:c')]
    const joins = [record(4, 'member_id:a unionid:b'), record(5, 'unionid:b openid:wx:c')]
    const atOnce = resolveAll([...people, ...joins])
    expect(atOnce.profileIds).toEqual([3, 3, 3, 3, 3])
    expect(atOnce.merges.map((m) => [m.from, m.to])).toEqual([
      [1, 3],
      [2, 3],
    ])
    expect(atOnce.profiles.map((p) => [p._id, p.mergedInto, p.mergedIds])).toEqual([
      [1, 3, []],
      [2, 3, [1]],
      [3, undefined, [1, 2]],
    ])
    const oneByOne = resolveAll(people, joins.slice(0, 1), joins.slice(1))
    expect(oneByOne.known.profiles.get(3)?.mergedIds).toEqual([1, 2])
    expect(oneByOne.profiles.map((p) => p._id)).toEqual([2, 3])
  })

  it('takes a record of our own by its profile, also after that was merged away', () => {
    const own: InboxRecord = { ...record(7, 'unionid:u9'), identifiers: [], profileId: 1 }
    const r = resolveAll(
      [record(5, 'unionid:u1')],
      [record(3, 'member_id:m1')],
      [record(6, 'unionid:u1 member_id:m1'), own],
    )
    expect(r.profileIds).toEqual([2, 2])
  })

  describe('what stops a merge', () => {
    it('two unionids: they are two people, the record goes to the more trusted identifier', () => {
      const r = resolveAll(
        [record(1, 'unionid:u1 member_id:m1'), record(1, 'unionid:u2')],
        [record(2, 'unionid:u2 member_id:m1')],
      )
      expect(r.merges).toEqual([])
      expect(r.profileIds).toEqual([2])
      expect(r.conflicts).toMatchObject([
        { kind: 'too_many', linkType: 'member_id', stoppedBy: 'unionid', profileIds: [2, 1] },
      ])
    })

    it('two unionids in one record: the first in order counts, the other is a conflict', () => {
      const r = resolveAll([record(1, 'unionid:u2 unionid:u1')])
      expect(r.known.profiles.get(1)?.identifiers.map((i) => i.value)).toEqual(['u1'])
      expect(r.conflicts).toMatchObject([{ kind: 'too_many', linkType: 'unionid' }])
      expect(r.known.links.has('unionid:u2')).toBe(false)
    })

    it('more values of a type than one person may have', () => {
      const r = resolveAll(
        [record(1, 'unionid:u1 member_id:m1 member_id:m2'), record(1, 'member_id:m3')],
        [record(2, 'unionid:u1 member_id:m3')],
      )
      expect(r.merges).toEqual([])
      expect(r.conflicts).toMatchObject([{ kind: 'too_many', linkType: 'member_id', stoppedBy: 'member_id' }])
    })

    it('a weak identifier between two different members, and from then on it joins nobody', () => {
      const r = resolveAll(
        [record(1, 'member_id:m1 phone:13800000000')],
        [record(2, 'member_id:m2 phone:13800000000')],
        [record(3, 'email:a@b.c phone:13800000000')],
      )
      expect(r.profileIds).toEqual([3])
      expect(r.conflicts).toMatchObject([{ kind: 'shared_identifier', linkType: 'phone', profileIds: [1] }])
      expect(r.known.links.get('phone:13800000000')).toMatchObject({ shared: true, profileId: 1 })
    })

    it('a weak identifier between two birthdays', () => {
      const r = resolveAll(
        [record(1, 'member_id:m1 phone:13800000000 birthday=1990-01-01')],
        [record(2, 'email:a@b.c phone:13800000000 birthday=1991-02-02')],
      )
      expect(r.profileIds).toEqual([2])
      expect(r.conflicts).toMatchObject([{ kind: 'contradiction', linkType: 'phone', stoppedBy: 'birthday' }])
    })

    it('nothing between a strong identifier and two birthdays', () => {
      const r = resolveAll(
        [record(1, 'unionid:u1 birthday=1990-01-01')],
        [record(2, 'unionid:u1 member_id:m1 birthday=1991-02-02')],
      )
      expect(r.profileIds).toEqual([1])
      expect(r.conflicts).toEqual([])
    })

    it('nothing where a weak identifier meets no contradiction', () => {
      const r = resolveAll(
        [record(1, 'member_id:m1 phone:13800000000 birthday=1990-01-01')],
        [record(2, 'unionid:u1 phone:13800000000 birthday=1990-01-01')],
      )
      expect(r.profileIds).toEqual([1])
      expect(r.known.profiles.get(1)?.identifiers.map((i) => i.type)).toEqual(['member_id', 'phone', 'unionid'])
    })
  })

  it('keeps what is known only by a shared phone on one profile of its own, and says so', () => {
    const shared = [record(1, 'member_id:m1 phone:13800000000'), record(2, 'member_id:m2 phone:13800000000')]
    const first = resolveAll(shared, [record(3, 'phone:13800000000')])
    expect(first.profileIds).toEqual([3])
    expect(first.profiles).toMatchObject([{ _id: 3, anchor: 'shared:phone:13800000000', identifiers: [] }])
    expect(first.conflicts).toMatchObject([{ kind: 'shared_identifier', linkType: 'phone' }])
    const again = resolveAll(shared, [record(3, 'phone:13800000000')], [record(4, 'phone:13800000000')])
    expect(again.profileIds).toEqual([3])
  })

  it('knows nobody in a record without a usable identifier', () => {
    expect(resolveAll([record(1, 'phone:10000000000')]).profileIds).toEqual([undefined])
  })

  it('keeps what each source said of a trait, the latest per source, through a merge', () => {
    const r = resolveAll(
      [record(1, 'unionid:u1 city=上海', 'crm')],
      [record(2, 'member_id:m1 city=杭州', 'pos'), record(5, 'member_id:m1 city=苏州', 'crm')],
      [record(3, 'unionid:u1 member_id:m1 city=北京', 'crm')],
    )
    const city = r.known.profiles.get(1)?.traits['city']
    expect(Object.entries(city ?? {}).map(([source, said]) => [source, said.value])).toEqual([
      ['crm', '苏州'],
      ['pos', '杭州'],
    ])
  })

  it('forgets a trait that its source takes back', () => {
    const back = { ...record(2, 'unionid:u1'), traits: { city: null } }
    const profile = resolveAll([record(1, 'unionid:u1 city=上海')], [back]).known.profiles.get(1)
    expect(traitTexts(profile!)).toEqual({})
  })

  it('leaves a trait taken back, whenever what was said of it before arrives, and through a merge', () => {
    const back = { ...record(3, 'unionid:u1', 'crm'), traits: { city: null } }
    const said = record(2, 'unionid:u1 city=上海', 'crm')
    const elsewhere = record(1, 'member_id:m1 city=杭州', 'crm')
    const other = record(1, 'unionid:u1 city=北京', 'pos')
    const one = record(4, 'unionid:u1 member_id:m1')
    for (const order of [
      [said, back, elsewhere, other, one],
      [elsewhere, back, said, one, other],
      [other, one, back, elsewhere, said],
    ]) {
      const { profiles } = resolveAll(...order.map((r) => [r])).known
      const alive = [...profiles.values()].filter((p) => p.mergedInto === undefined)
      expect(alive.map(traitTexts)).toEqual([{ city: '北京' }])
    }
    const again = resolveAll([back], [said], [record(5, 'unionid:u1 city=苏州', 'crm')]).known.profiles.get(1)
    expect(traitTexts(again!)).toEqual({ city: '苏州' })
  })

  it('carries consent and contacts over to the survivor', () => {
    const out = {
      ...record(4, 'member_id:m1'),
      events: [
        { id: 'x', name: 'opted_out', occurredAt: new Date(Date.UTC(2026, 2, 4)), properties: {} },
        {
          id: 'y',
          name: 'contact_added',
          occurredAt: new Date(Date.UTC(2026, 2, 4)),
          properties: { userId: 'guide-1', externalUserId: 'wm1' },
        },
      ],
    }
    const r = resolveAll([record(1, 'unionid:u1'), out], [record(5, 'unionid:u1 member_id:m1')])
    expect(r.known.profiles.get(1)).toMatchObject({
      optedOutAt: new Date(Date.UTC(2026, 2, 4)),
      contacts: [{ userId: 'guide-1' }],
    })
  })

  it('folds what two profiles know of one relation: it has ended where only the one that goes heard so', () => {
    const of = (day: number, who: string, name: string) => ({
      ...record(day, who),
      events: [
        {
          id: `${name}:${day}`,
          name,
          occurredAt: new Date(Date.UTC(2026, 2, day)),
          properties: { userId: 'guide-1', externalUserId: 'wm1' },
        },
      ],
    })
    const told = [of(1, 'unionid:u1', 'contact_added'), of(4, 'member_id:m1', 'contact_deleted')]
    const r = resolveAll(told, [record(5, 'unionid:u1 member_id:m1')])
    expect(r.known.profiles.get(1)?.contacts).toEqual([
      {
        userId: 'guide-1',
        externalUserId: 'wm1',
        since: new Date(Date.UTC(2026, 2, 1)),
        endedAt: new Date(Date.UTC(2026, 2, 4)),
      },
    ])
  })

  it('keeps as evidence which identifiers a source named together, and whether that was used', () => {
    const r = resolveAll(
      [record(1, 'member_id:m1 phone:13800000000')],
      [record(2, 'member_id:m2 phone:13800000000 email:a@b.c')],
    )
    expect(r.evidence.map((e) => [e.a, e.b, e.used])).toEqual([
      ['member_id:m2', 'email:a@b.c', true],
      ['member_id:m2', 'phone:13800000000', false],
      ['email:a@b.c', 'phone:13800000000', false],
    ])
  })

  it('keeps all pairs of a few identifiers, and of many as many more as there are identifiers more', () => {
    const many = (n: number) => Array.from({ length: n }, (_, i) => i)
    expect(evidencePairs(many(4))).toHaveLength(6)
    expect(evidencePairs(many(50))).toHaveLength(evidencePairs(many(49)).length + 3)
    // Whoever is named is tied to the most trusted one.
    expect(new Set(evidencePairs(many(50)).flatMap(([a, b]) => (a === 0 ? [b] : []))).size).toBe(49)
  })

  it('leaves the profiles it was given untouched', () => {
    const first = resolveAll([record(1, 'unionid:u1 city=上海')])
    const before = JSON.stringify([...first.known.profiles])
    resolveIdentities(config, [record(2, 'unionid:u1 member_id:m9 city=杭州')], first.known, 2)
    expect(JSON.stringify([...first.known.profiles])).toBe(before)
  })

  it('finds the same people however the records are cut into batches', () => {
    const dice = new Dice('batches')
    for (let round = 0; round < 30; round++) {
      const records = Array.from({ length: 25 }, (_, i) =>
        record(
          1 + (i % 28),
          [
            dice.chance(0.4) ? `unionid:u${dice.below(6)}` : '',
            dice.chance(0.5) ? `member_id:m${dice.below(8)}` : '',
            dice.chance(0.5) ? `phone:1380000000${dice.below(5)}` : '',
            dice.chance(0.2) ? `birthday=199${dice.below(2)}-01-01` : '',
            `openid:wx:o${dice.below(20)}`,
          ]
            .filter((w) => w !== '')
            .join(' '),
        ),
      )
      const atOnce = resolveAll(records)
      const cut = 1 + dice.below(23)
      const inTwo = resolveAll(records.slice(0, cut), records.slice(cut))
      const oneByOne = resolveAll(...records.map((r) => [r]))
      const view = (r: { known: Known }) => ({
        links: [...r.known.links.values()].sort((a, b) => (a._id < b._id ? -1 : 1)),
        survivors: [...r.known.profiles.values()]
          .filter((p) => p.mergedInto === undefined)
          .sort((a, b) => a._id - b._id),
      })
      expect(view(inTwo)).toEqual(view(atOnce))
      expect(view(oneByOne)).toEqual(view(atOnce))
    }
  })

  it('never leaves a profile with more identifiers of a type than it may have, nor a link to nobody', () => {
    const dice = new Dice('limits')
    for (let round = 0; round < 50; round++) {
      const records = Array.from({ length: 20 }, () =>
        record(
          1 + dice.below(20),
          Array.from(
            { length: 1 + dice.below(3) },
            () => dice.pick(['unionid:u', 'member_id:m', 'phone:1380000000', 'email:e']) + String(dice.below(5)),
          ).join(' '),
        ),
      )
      const { known, profileIds } = resolveAll(records)
      for (const profile of known.profiles.values()) {
        for (const rule of config.identifiers) {
          expect(profile.identifiers.filter((i) => i.type.startsWith(rule.type)).length).toBeLessThanOrEqual(rule.max)
        }
      }
      for (const link of known.links.values()) expect(known.profiles.get(link.profileId)?.mergedInto).toBeUndefined()
      for (const id of profileIds)
        expect(id === undefined || known.profiles.get(id)?.mergedInto === undefined).toBe(true)
    }
  })
})
