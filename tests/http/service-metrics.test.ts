import { describe, expect, it } from '@jest/globals'
import { Registry } from 'prom-client'
import { createCallStats } from '../../src/adapters/wecom/transport/call-stats.js'
import { openSqliteDocuments } from '../../src/adapters/documents/sqlite.js'
import { openInProcessQueue } from '../../src/adapters/queue/in-process.js'
import { measureService, measureWecomCalls } from '../../src/http/service-metrics.js'
import type { Touch } from '../../src/domain/touches/touch.js'
import { fixedClock } from '../../src/time.js'
import { define } from '../support/build-deps.js'
import { openCollections } from '../../src/stored/collections.js'
import type { Run } from '../../src/stored/journeys.js'

const GET = '/cgi-bin/externalcontact/get'
const MARK = '/cgi-bin/externalcontact/mark_tag'

describe('figures of the work', () => {
  it('count what nobody here can decide, send or read beside all that waits', async () => {
    const store = openSqliteDocuments({ file: ':memory:', fsync: false })
    const docs = await openCollections(store)
    const queue = openInProcessQueue()
    const run = (_id: string, more: Partial<Run>): Run => ({
      _id,
      journeyId: 'care',
      version: 1,
      profileId: 1,
      bucket: 0,
      anchor: 'a',
      n: 0,
      arm: 'treated',
      state: 'waiting',
      path: '0',
      arrivedAt: new Date(0),
      enteredAt: new Date(0),
      ...more,
    })
    const held = { reason: 'it is gone', since: new Date(0) }
    await docs.runs.insert([run('a', {}), run('b', { held }), run('c', { held, state: 'ended' })])
    const touch = (_id: string, channel: string, state: Touch['state']): Touch => ({
      ...{ _id, channel: channel as Touch['channel'], state, profileId: 1, journeyId: 'care', runId: 'a', stepId: '0' },
      ...{ contentId: 'hello', plannedAt: new Date(0) },
    })
    await docs.touches.insert([
      touch('a', 'wecom', 'planned'),
      touch('b', 'letter', 'planned'),
      touch('c', 'letter', 'created'),
      touch('d', 'letter', 'delivered'),
    ])
    const registry = new Registry()
    const deps = { docs, clock: fixedClock('2026-03-02T02:00:00Z'), definitions: { current: define({}) as never } }
    measureService(registry, deps, { queue, documents: store })
    await docs.runs.put([{ ...run('d', {}), state: 'gone' } as never])
    expect(await docs.runs.find({}, { skipUnfit: true })).toHaveLength(3)
    const text = await registry.metrics()
    await queue.close()
    await store.close()
    expect(text).toContain('siyu_runs_waiting 2\n')
    expect(text).toContain('siyu_runs_held 1\n')
    expect(text).toContain('siyu_touches_held 2\n')
    expect(text).toContain('siyu_unfit_documents 1\n')
  })
})

describe('figures of the calls to WeCom', () => {
  it('count calls, time queued, refusals and calls at a time per API, the same however often they are read', async () => {
    const stats = createCallStats()
    stats.add(GET, { lease: { width: 8 }, waitedMs: 1_500 }, 0, 0)
    stats.add(GET, { lease: { width: 7 }, waitedMs: 250 }, 45033, 0)
    stats.add(GET, { lease: { width: 7 }, waitedMs: 0 }, 45009, 60_000)
    stats.add(MARK, { lease: { width: 5 }, waitedMs: 0 }, 'lost', 0)
    const registry = new Registry()
    measureWecomCalls(registry, stats.read)

    await registry.metrics()
    const text = await registry.metrics()

    expect(text).toContain(`siyu_wecom_calls_total{api="${GET}"} 3\n`)
    expect(text).toContain(`siyu_wecom_calls_total{api="${MARK}"} 1\n`)
    expect(text).toContain(`siyu_wecom_waited_seconds_total{api="${GET}"} 1.75\n`)
    expect(text).toContain(`siyu_wecom_too_often_total{api="${GET}"} 1\n`)
    expect(text).toContain(`siyu_wecom_too_parallel_total{api="${GET}"} 1\n`)
    expect(text).toContain(`siyu_wecom_too_parallel_total{api="${MARK}"} 0\n`)
    expect(text).toContain(`siyu_wecom_width{api="${GET}"} 7\n`)
  })

  it('follow the calls between two readings', async () => {
    const stats = createCallStats()
    const registry = new Registry()
    measureWecomCalls(registry, stats.read)
    expect(await registry.metrics()).not.toContain('api=')
    stats.add(MARK, { lease: { width: 5 }, waitedMs: 0 }, 0, 0)
    expect(await registry.metrics()).toContain(`siyu_wecom_calls_total{api="${MARK}"} 1\n`)
  })
})
