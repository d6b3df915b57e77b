import { beforeEach, describe, expect, it } from '@jest/globals'
import { renderConversion } from '../../../src/cli/path.js'
import { displayWidth } from '../../../src/print/display-width.js'
import { bilingual } from '../../../src/said.js'
import { runOperation } from '../../../src/services/runtime/run-operation.js'
import { contactRecord, operationsOf, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const START = '2026-03-02T02:00:00Z'
const openWorld = useWorld()
let world: World
beforeEach(async () => {
  world = await openWorld({
    at: START,
    definitions: {
      identity: {
        identifiers: [
          { type: 'member_id', strength: 'strong', max: 3 },
          { type: 'external_userid', strength: 'strong', max: 3 },
          { type: 'device_id', strength: 'weak', max: 5 },
        ],
      },
      journeys: [
        { id: 'hello', enter: { on: 'contact_added' }, steps: [{ send: { channel: 'wecom', content: 'words' } }] },
      ],
      contents: [{ id: 'words', text: '您好' }],
    },
  })
})

const device = { type: 'device_id', value: 'd-1' }
const member = { type: 'member_id', value: 'ann' }

/** What a page tells. */
function view(id: string, occurredAt: string, identifiers: object[], page: string): object {
  return {
    source: 'site',
    observedAt: new Date(occurredAt),
    identifiers,
    events: [{ id, name: 'page_viewed', occurredAt: new Date(occurredAt), properties: { page } }],
  }
}

function order(id: string, occurredAt: string, amountMinor: number): object {
  return {
    source: 'shop',
    observedAt: new Date(occurredAt),
    identifiers: [member],
    events: [{ id, name: 'order_paid', occurredAt: new Date(occurredAt), amountMinor }],
  }
}

async function walk(): Promise<void> {
  const at = new Date('2026-03-02T03:00:00Z')
  world.wecom.result = ({ recipients }) => ({
    confirmedAt: at,
    final: true,
    recipients: recipients.map(({ to }) => ({ to, state: 'delivered', at })),
  })
  await world.accept(
    'views',
    view('v0', '2026-01-01T02:00:00Z', [device], '/long-ago'),
    view('v1', '2026-03-01T02:00:00Z', [device], '/tea'),
    view('v2', '2026-03-01T02:01:00Z', [device], '/tea'),
  )
  await world.run()
  const contact = contactRecord('ann', START, 'guide-1') as { identifiers: object[] }
  await world.accept('contact', { ...contact, identifiers: [...contact.identifiers, member] })
  await world.run()
  await world.until('2026-03-03T04:00:00Z')
  await world.accept('signs-in', view('v3', '2026-03-03T04:00:00Z', [member, device], '/sign-in'))
  await world.accept('others', view('x1', '2026-03-02T02:00:00Z', [{ type: 'member_id', value: 'bob' }], '/bob'))
  await world.until('2026-03-03T06:00:00Z')
  await world.accept('order', order('o1', '2026-03-03T05:00:00Z', 12_900))
  await world.run()
}

const ask = (more: object = {}) =>
  runOperation(operationsOf(world), 'key:1', 'person/path', { of: { identifier: member }, ...more })

describe('the path to a conversion', () => {
  it('has touches, channels and pages in their order, the anonymous part included, and nothing of others', async () => {
    await walk()
    const path = await ask()
    expect(path.conversions).toHaveLength(1)
    const [{ stations, touchedBy, amountMinor, cut }] = path.conversions as [(typeof path.conversions)[0]]
    expect({ touchedBy, amountMinor, cut }).toEqual({ touchedBy: ['wecom'], amountMinor: 12_900, cut: false })
    expect(stations.map(({ name, channel, page, times }) => [name, channel, page, times])).toEqual([
      ['page_viewed', 'site', '/tea', 2],
      ['contact_added', 'shop', undefined, 1],
      ['journey_entered', 'siyu', undefined, 1],
      ['touch_delivered', 'wecom', undefined, 1],
      ['page_viewed', 'site', '/sign-in', 1],
    ])
    const [first] = stations
    expect(first).toMatchObject({ anonymous: true, at: '2026-03-01T02:00:00.000Z', until: '2026-03-01T02:01:00.000Z' })
    expect(stations.slice(1).some((s) => s.anonymous)).toBe(false)
    expect(stations[3]).toMatchObject({ kind: 'touch', journeyId: 'hello', contentId: 'words' })
    expect(JSON.stringify(path)).not.toMatch(/long-ago|bob/)
  })

  it('goes as far back as asked, by the event that is asked for, and fits the terminal', async () => {
    await walk()
    const far = (await ask({ days: 90 })).conversions[0]!
    expect(far.stations[0]).toMatchObject({ page: '/long-ago', anonymous: true })
    expect((await ask({ event: 'contact_added' })).conversions[0]!.stations.map((s) => s.page)).toEqual(['/tea'])
    expect((await ask({ event: 'never_happened' })).conversions).toEqual([])
    for (const locale of ['zh', 'en'] as const) {
      const shown = { event: 'order_paid', days: 90, timeZone: 'Asia/Shanghai', currency: 'CNY' }
      const text = renderConversion(far, { ...shown, locale, words: bilingual(locale) }, 80)
      for (const line of text.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80)
      expect(text).toContain(locale === 'zh' ? '触达送达' : 'a touch arrived')
      expect(text).toMatch(/2026-03-01 10:00 +2 (天|d)/)
    }
  })

  it('has an earlier conversion as a station of a later one', async () => {
    await walk()
    await world.accept('again', order('o2', '2026-03-03T05:30:00Z', 500))
    await world.run()
    const { conversions } = await ask()
    expect(conversions.map(({ id }) => id)).toEqual(['o2', 'o1'])
    expect(conversions[0]!.stations.at(-1)).toMatchObject({ name: 'order_paid', at: '2026-03-03T05:00:00.000Z' })
    expect(conversions[1]!.stations.map(({ name }) => name)).not.toContain('order_paid')
  })

  it('is on record, without saying by what she was named', async () => {
    await walk()
    await ask()
    const { rows } = await runOperation(operationsOf(world), 'key:1', 'audit/list', { limit: 1 })
    expect(rows[0]).toMatchObject({ operation: 'person/path', target: expect.stringMatching(/^profile \d+$/) })
    expect(JSON.stringify(rows)).not.toContain('ann')
  })
})
