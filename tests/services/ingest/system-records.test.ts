import { describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { type SystemEventName, systemEvents } from '../../../src/domain/events/system-events.js'
import { acceptCard } from '../../../src/services/wecom/accept-callbacks.js'
import { HOUR_MS } from '../../../src/time.js'
import { contactRecord, eventRecord, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const openWorld = useWorld()
let world: World

const START = '2026-03-02T02:00:00Z'

describe('what our own services say of a profile', () => {
  it('has the properties of its schema, from entry to the button of a card', async () => {
    const CALL = { task: { title: 'call', script: 'talk', due: '5d' } }
    world = await openWorld({
      at: START,
      definitions: {
        contents: [{ id: 'talk', text: 'talk' }],
        journeys: [{ id: 'care', enter: { on: 'asked' }, steps: [CALL] }],
      },
    })
    await world.accept('in', contactRecord('a', START), eventRecord('a', 'asked', START))
    await world.run()
    const [task] = await world.docs.tasks.find({})
    const at = new Date(Date.parse(START) + HOUR_MS)
    await world.until(at)
    for (const key of ['interested', 'stop'])
      await acceptCard(world.deps, `press ${key}`, {
        kind: 'card',
        taskId: task!._id,
        key,
        userId: task!.guideUserId,
        selected: {},
        at,
      })
    await world.until(new Date(at.getTime() + HOUR_MS))
    const rows = await world.query(
      `SELECT DISTINCT name, properties FROM events WHERE source = 'siyu' ORDER BY name`,
      z.object({ name: z.string(), properties: z.string() }),
    )
    expect([...new Set(rows.map((r) => r.name))]).toEqual([
      'customer_interested',
      'guide_contacted',
      'journey_entered',
      'opted_out',
      'touch_delivered',
    ])
    for (const { name, properties } of rows) {
      const said: unknown = JSON.parse(properties)
      expect(systemEvents[name as SystemEventName].properties.parse(said)).toEqual(said)
    }
  })
})
