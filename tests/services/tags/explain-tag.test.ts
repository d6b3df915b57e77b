import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { renderReason } from '../../../src/cli/tag-reason.js'
import { explainEntry, explainTag } from '../../../src/services/tags/explain-tag.js'
import { type EventHome, openEventHome, buildWorld, type World } from '../../support/build-deps.js'

const order = (id: string, day: string, amountMinor: number) => ({
  id,
  name: 'order_paid',
  occurredAt: new Date(`${day}T04:00:00Z`),
  amountMinor,
})

let home: EventHome
let world: World
beforeAll(async () => {
  home = await openEventHome()
  world = await buildWorld(home, {
    at: '2026-03-10T04:00:00Z',
    definitions: {
      segments: { big: { event: 'order_paid', sum: { amountMinor: { gte: 5000 } } } },
      tags: [
        { id: 'buyer', type: 'flag', when: { all: [{ segment: 'big' }, { not: { trait: 'city', is: 'B' } }] } },
        {
          id: 'class',
          type: 'choice',
          cases: [
            { value: 'often', when: { event: 'order_paid', within: '7d', count: { gte: 2 } } },
            { value: 'once', when: { event: 'order_paid' } },
          ],
        },
        { id: 'spent', type: 'number', value: { event: 'order_paid', within: '30d', sum: 'amountMinor' } },
        { id: 'recency', type: 'number', value: { event: 'order_paid', daysSince: true } },
        {
          id: 'score',
          type: 'number',
          score: { points: [{ event: 'order_paid', weight: 10 }], max: 100, unless: { tag: 'class', is: 'often' } },
        },
        { id: 'town', type: 'text', trait: 'city' },
      ],
      journeys: [{ id: 'come-back', enter: { when: { segment: 'big' } }, steps: [{ exit: true }] }],
    },
  })
  await world.accept('a', {
    ref: 'a:1',
    source: 'shop',
    observedAt: new Date('2026-03-09T04:00:00Z'),
    identifiers: [
      { type: 'member_id', value: '7' },
      { type: 'phone', value: '+86 138-0000-0000' },
    ],
    traits: { city: 'A' },
    events: [order('o1', '2026-02-01', 4000), order('o2', '2026-03-07', 2500)],
  })
  await world.run()
})
afterAll(async () => {
  await world.close()
  await home.close()
})

const member = { identifier: { type: 'member_id', value: '7' } }

describe('explainTag', () => {
  it('opens segments down to the figures', async () => {
    const reason = await explainTag(world.deps, 'buyer', member)
    expect(reason).toMatchObject({ value: '1', stored: '1', profileId: 1, since: '2026-03-10T04:00:00.000Z' })
    expect(reason.cases).toEqual([
      {
        tree: {
          clause: 'all',
          holds: true,
          parts: [
            {
              clause: 'segment big',
              holds: true,
              parts: [{ clause: 'event order_paid, sum {"amountMinor":{"gte":5000}}', holds: true, figure: '6500' }],
            },
            { clause: 'not', holds: true, parts: [{ clause: 'trait city, is B', holds: false, figure: 'A' }] },
          ],
        },
      },
    ])
  })

  it('marks the case of a choice that counts', async () => {
    const { value, cases } = await explainTag(world.deps, 'class', { profileId: 1 })
    expect(value).toBe('once')
    expect(cases.map((c) => [c.value, c.taken, c.tree.holds, c.tree.figure])).toEqual([
      ['often', false, false, '1'],
      ['once', true, true, '2'],
    ])
  })

  it.each([
    ['spent', '2500', ['event order_paid, within 30d, sum amountMinor'], ['2500']],
    ['recency', '3', ['event order_paid, daysSince'], ['3']],
    ['score', '20', ['event order_paid, count × 10', 'not'], ['2', undefined]],
    ['town', 'A', ['trait city'], ['A']],
  ])('shows the figures behind %s', async (tag, value, clauses, figures) => {
    const reason = await explainTag(world.deps, tag, member)
    expect(reason.value).toBe(value)
    expect(reason.cases.map((c) => c.tree.clause)).toEqual(clauses)
    expect(reason.cases.map((c) => c.tree.figure)).toEqual(figures)
  })

  it('finds a person by a phone number written in another way, and never repeats one that is unknown', async () => {
    const found = await explainTag(world.deps, 'town', { identifier: { type: 'phone', value: '13800000000' } })
    expect(found.profileId).toBe(1)
    const unknown = explainTag(world.deps, 'town', { identifier: { type: 'phone', value: '13900000000' } })
    await expect(unknown).rejects.toThrow(/^(?!.*139).*nobody with this phone/)
  })

  it('names the tag that was probably meant', async () => {
    await expect(explainTag(world.deps, 'clas', member)).rejects.toThrow('did you mean "class"?')
  })

  it('is printed as an aligned tree in plain words', async () => {
    const text = renderReason(await explainTag(world.deps, 'class', member), {
      timeZone: 'Asia/Shanghai',
      locale: 'zh',
    })
    expect(text).toBe(
      [
        'a tag class = once，自 2026-03-10 12:00',
        '档案 1，按此刻的数据（2026-03-10 12:00 Asia/Shanghai）',
        '',
        '  often',
        '  ✗ event order_paid, within 7d, count ≥ 2   1',
        '→ once',
        '  ✓ event order_paid                         2',
        '',
      ].join('\n'),
    )
  })
})

describe('explainEntry', () => {
  it('says whether the entry rule of a live journey holds', async () => {
    const reason = await explainEntry(world.deps, 'come-back', member)
    expect(reason).toMatchObject({
      type: 'journey',
      value: '1',
      cases: [{ tree: { clause: 'segment big', holds: true } }],
    })
    await expect(explainEntry(world.deps, 'come-bak', member)).rejects.toThrow('did you mean "come-back"?')
  })
})
