import { describe, expect, it } from '@jest/globals'
import { hours, smallScenario, START } from '../support.js'
import { openWorld, play, raised } from './support.js'

const ask = (externalUserId: string, handover: string, takeover: string, resigned = false) => ({
  externalUserId,
  handover,
  takeover,
  resigned,
})

describe('handing a customer over', () => {
  it('happens a day later: a new relation with the remark and tags, and an event for either member', () => {
    const world = openWorld()
    world.write(() => world.transfers.start(ask('wmc1', 'g1', 'g3'), START))
    play(world, hours(23))
    expect(world.transfers.between('g1', 'g3', false, 0, 10)).toMatchObject([{ status: 2, takeoverAt: hours(24) }])
    expect(raised(world)).toEqual([])
    play(world, hours(24))
    expect(world.transfers.ofContact('wmc1')).toMatchObject([{ status: 1, takeoverAt: hours(24) }])
    expect(world.relations.get('g3', 'wmc1')).toMatchObject({
      status: 'active',
      tagIds: ['etVip'],
      createdAt: hours(24),
    })
    expect(world.relations.status('g1', 'wmc1')).toBe('member_deleted')
    expect(raised(world)).toMatchObject([
      { ChangeType: 'add_external_contact', UserID: 'g3', ExternalUserID: 'wmc1' },
      { ChangeType: 'del_external_contact', UserID: 'g1', Source: 'DELETE_BY_TRANSFER' },
    ])
    expect(raised(world)[0]).not.toHaveProperty('WelcomeCode')
  })

  it('adds nobody who is a friend already or comes back, and tells nothing to who has left', () => {
    const world = openWorld()
    world.write(() => world.resign('g1', START))
    world.write(() => world.transfers.start(ask('wmc5', 'g1', 'g2', true), START)) // has both
    play(world, hours(24))
    expect(raised(world).map((e) => e['ChangeType'])).toEqual(['delete_user'])
    world.write(() => world.transfers.start(ask('wmc5', 'g2', 'g3'), hours(30)))
    play(world, hours(60))
    world.write(() => world.transfers.start(ask('wmc5', 'g3', 'g2'), hours(60)))
    play(world, hours(90))
    expect(raised(world).slice(1)).toMatchObject([
      { ChangeType: 'add_external_contact', UserID: 'g3' },
      { ChangeType: 'del_external_contact', UserID: 'g2' },
      { ChangeType: 'del_external_contact', UserID: 'g3' }, // g2 gets an old customer back: no event
    ])
    expect(world.relations.status('g2', 'wmc5')).toBe('active')
  })

  it('fails when the customer refuses or the new owner is full', () => {
    const refusing = openWorld(smallScenario({ habits: { refuseTransferRatio: 1 } }))
    refusing.write(() => refusing.transfers.start(ask('wmc1', 'g1', 'g3'), START))
    play(refusing, hours(24))
    expect(refusing.transfers.ofContact('wmc1')).toMatchObject([{ status: 3 }])
    expect(raised(refusing)).toMatchObject([
      { ChangeType: 'transfer_fail', UserID: 'g3', FailReason: 'customer_refused' },
    ])
    expect(refusing.relations.status('g1', 'wmc1')).toBe('active')

    const members = smallScenario().members!.map((m) => ({ ...m, customerLimit: 2 })) // g2 has wmc4 and wmc5
    const full = openWorld(smallScenario({ members }))
    full.write(() => full.transfers.start(ask('wmc1', 'g1', 'g2'), START))
    play(full, hours(24))
    expect(full.transfers.ofContact('wmc1')).toMatchObject([{ status: 4 }])
    expect(raised(full)).toMatchObject([{ ChangeType: 'transfer_fail', FailReason: 'customer_limit_exceed' }])
  })
})

describe('a half-added customer', () => {
  it('becomes a customer when the member adds him back, with one welcome code for both', () => {
    const world = openWorld()
    const data = { userId: 'g3', externalUserId: 'wmc4', addWay: 1, state: 'door', remarkMobiles: [], tagIds: [] }
    world.write(() => expect(world.relations.addHalf(data, START)).toBe(true))
    expect(world.relations.status('g3', 'wmc4')).toBe('half')
    world.write(() => expect(world.relations.add(data, hours(1))).toBe(true))
    expect(world.relations.status('g3', 'wmc4')).toBe('active')
    const [half, full] = raised(world)
    expect(half).toMatchObject({ ChangeType: 'add_half_external_contact', State: 'door' })
    expect(half!['WelcomeCode']).toMatch(/^WELCOME/)
    expect(full).toMatchObject({ ChangeType: 'add_external_contact', State: 'door' })
    expect(full).not.toHaveProperty('WelcomeCode')
  })
})
