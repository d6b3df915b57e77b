import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { explainTouches } from '../../../src/services/touches/explain-touches.js'
import { switchSending } from '../../../src/services/touches/switch-sending.js'
import { type EventHome, openEventHome, buildWorld } from '../../support/build-deps.js'

let home: EventHome
beforeAll(async () => {
  home = await openEventHome()
})
afterAll(() => home.close())

const AT = '2026-03-10T04:00:00Z'

describe('the stop switch', () => {
  it('holds back what is planned and lets it go when sending is resumed; why tells both', async () => {
    const world = await buildWorld(home, {
      at: AT,
      definitions: {
        contents: [{ id: 'hello', text: '你好' }],
        journeys: [
          {
            id: 'greet',
            enter: { on: 'registered' },
            steps: [{ id: 'hi', send: { channel: 'wecom', content: 'hello' } }],
          },
        ],
      },
    })
    try {
      await switchSending(world.docs, 'stop', new Date(AT))
      await world.accept('a', {
        ref: 'a:1',
        source: 'shop',
        observedAt: new Date(AT),
        identifiers: [{ type: 'external_userid', value: 'wm1' }],
        events: [
          {
            id: 'c1',
            name: 'contact_added',
            occurredAt: new Date(AT),
            properties: { userId: 'g1', externalUserId: 'wm1' },
          },
          { id: 'r1', name: 'registered', occurredAt: new Date(AT) },
        ],
      })
      await world.run()
      expect(await switchSending(world.docs, 'status', new Date(AT))).toEqual({
        stopped: true,
        since: new Date(AT).toISOString(),
        planned: 1,
        ready: 0,
        asking: 0,
      })
      const before = await explainTouches(world.deps, { profileId: 1 })
      expect(before).toMatchObject({ guideUserId: 'g1', sending: { stopped: true }, touches: [{ state: 'planned' }] })

      expect((await switchSending(world.docs, 'resume', new Date(AT))).stopped).toBe(false)
      await world.run()
      const after = await explainTouches(world.deps, { touchId: before.touches[0]!.id })
      expect(after).toMatchObject({
        sending: { stopped: false },
        touches: [{ state: 'created', journeyId: 'greet' }],
        runs: [{ journeyId: 'greet' }],
        refusals: [],
      })
      await expect(explainTouches(world.deps, { touchId: 'none' })).rejects.toThrow('no touch "none"')
    } finally {
      await world.close()
    }
  })
})
