import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { readCallbackEvent } from '../../../src/adapters/wecom/port/callback-event.js'
import {
  findReservedEvent,
  isReservedEvent,
  type SystemEventName,
  systemEventNames,
  systemEvents,
} from '../../../src/domain/events/system-events.js'
import { eventRecord } from '../../../src/domain/wecom/event-record.js'

describe('system events', () => {
  it('are reserved, but for a wish to be written to or not; others are free, also those of the language', () => {
    expect(systemEventNames.filter((name) => !isReservedEvent(name))).toEqual(['opted_out', 'opted_in'])
    for (const name of ['order_paid', 'constructor', 'toString']) expect(isReservedEvent(name)).toBe(false)
  })

  it('that somebody else sends are told with field, value and fix', () => {
    expect(findReservedEvent([{ name: 'order_paid' }, { name: 'opted_out' }, { name: 'contact_added' }])).toEqual({
      path: 'events.2.name',
      message: expect.stringMatching(/^"contact_added" .*only siyu itself writes/) as unknown,
      hint: expect.stringMatching(/another name, e\.g\. shop_contact_added/) as unknown,
    })
    expect(findReservedEvent([{ name: 'order_paid' }])).toBeUndefined()
  })

  it('of every callback have the properties of their schema', () => {
    const file = new URL('../../fixtures/wecom-callbacks.json', import.meta.url)
    const callbacks = Object.values(JSON.parse(readFileSync(file, 'utf8')) as Record<string, Record<string, unknown>>)
    const events = callbacks.flatMap((c) => eventRecord(readCallbackEvent(c), new Date(0))?.events ?? [])
    for (const { name, properties } of events)
      expect(systemEvents[name as SystemEventName].properties.parse(properties)).toEqual(properties)
    expect(events.length).toBeGreaterThan(3)
  })
})
