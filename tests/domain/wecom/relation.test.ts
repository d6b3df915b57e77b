import { describe, expect, it } from '@jest/globals'
import { contactRecord, type Relation } from '../../../src/domain/wecom/relation.js'

const NOW = new Date('2026-08-03T02:00:00Z')
const relation = (userId: string, addedAt: string, more: Partial<Relation['follow']> = {}): Relation => ({
  userId,
  externalUserId: 'wm1',
  contact: { name: '客户 001', gender: 1 },
  follow: { addedAt: new Date(addedAt), mobiles: [], tagIds: [], ...more },
})
const first = relation('rocky', '2018-05-08T11:43:32Z', { addWay: 10, tagIds: ['et1', 'et2'] })
const second = relation('tommy', '2018-05-09T16:00:37Z', { addWay: 3, state: '外联二维码1', mobiles: ['10000000001'] })

describe('the record of a customer', () => {
  it('names the member who has known her longest, whatever the order', () => {
    const record = contactRecord([second, first], NOW, new Map([['et1', '等级/重要']]))
    expect(record).toMatchObject({ source: 'wecom', ref: 'wecom:wm1', observedAt: NOW })
    expect(record.traits).toEqual({
      name: '客户 001',
      gender: 'male',
      wecom_owner: 'rocky',
      wecom_followers: 'rocky,tommy',
      wecom_tags: 'et2,等级/重要',
    })
    expect(contactRecord([first, second], NOW, new Map([['et1', '等级/重要']]))).toEqual(record)
  })

  it('has one event per relation, known by the time of the relation', () => {
    expect(contactRecord([second, first], NOW).events).toEqual([
      {
        id: 'wecom:add:wm1:rocky:1525779812',
        name: 'contact_added',
        occurredAt: first.follow.addedAt,
        properties: { userId: 'rocky', externalUserId: 'wm1', addWay: 10 },
      },
      {
        id: 'wecom:add:wm1:tommy:1525881637',
        name: 'contact_added',
        occurredAt: second.follow.addedAt,
        properties: { userId: 'tommy', externalUserId: 'wm1', addWay: 3, state: '外联二维码1' },
      },
    ])
  })

  it('leaves members who lost her out of what is said of her now', () => {
    const { traits } = contactRecord(
      [
        { ...first, state: 'lost' },
        { ...second, state: 'ended' },
      ],
      NOW,
    )
    expect(traits).toMatchObject({ wecom_owner: null, wecom_followers: null, wecom_tags: null })
  })
})
