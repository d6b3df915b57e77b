import { afterEach, expect, it } from '@jest/globals'
import { UpstreamError } from '../../../src/errors.js'
import { nextReconciliationAt, reconcileWecom } from '../../../src/services/wecom/reconcile-wecom.js'
import { DAY_MS } from '../../../src/time.js'
import { openWecomWorld, type WecomWorld } from '../../support/wecom-world.js'

const START = new Date('2026-08-03T02:00:00Z') // 10:00 in Shanghai
let world: WecomWorld
afterEach(async () => {
  await world.close()
})

async function open(): Promise<void> {
  world = await openWecomWorld(
    {
      members: [1, 2].map((i) => ({ userId: `guide00${i}`, name: `导购 00${i}` })),
      contacts: [1, 2].map((i) => ({
        externalUserId: `wm${i}`,
        name: `顾客 ${i}`,
        addedAt: new Date(START.getTime() - 10 * DAY_MS),
        followUserIds: [`guide00${i}`],
      })),
    },
    START,
  )
  world.deps.wecomSettings.reconcileAt = '03:00'
  await nextReconciliationAt(world.deps)
  await world.sandbox.advanceTo(new Date(START.getTime() + DAY_MS))
}

function refuse(...gone: string[]): void {
  const { wecom } = world.deps
  const customersOf = wecom.customersOf.bind(wecom)
  wecom.customersOf = (userId) =>
    gone.includes(userId)
      ? Promise.reject(new UpstreamError('wecom', '60111', false, 'no such member'))
      : customersOf(userId)
}

it('leaves out a member of whom WeCom refuses to speak; the others are compared, and the day is done', async () => {
  await open()
  refuse('guide001')
  await reconcileWecom(world.deps)
  expect((await world.docs.wecomRelations.find({})).map((r) => r._id)).toEqual(['guide002/wm2'])
  expect(await nextReconciliationAt(world.deps)).toEqual(new Date('2026-08-04T19:00:00Z'))
})

it('is not done while WeCom speaks of nobody', async () => {
  await open()
  refuse('guide001', 'guide002')
  await expect(reconcileWecom(world.deps)).rejects.toThrow('no such member')
  expect((await nextReconciliationAt(world.deps))! <= world.sandbox.now()).toBe(true)
})
