import { describe, expect, it } from '@jest/globals'
import { planOf } from '../../../../src/adapters/wecom/transport/limits.js'
import { HOUR_MS, MINUTE_MS } from '../../../../src/time.js'

const AGENT = 1000002
/** What a bucket lets through in a window of its own length, however the window lies. */
const inWindow = (call: Parameters<typeof planOf>[0], key: RegExp) => {
  const bucket = planOf(call, AGENT).buckets.find((b) => key.test(b.key))!
  const windowMs = Number(bucket.key.split(':').at(-1))
  return Math.floor(bucket.capacity + bucket.refillPerMs * windowMs)
}

describe('limits', () => {
  it.each([
    ['externalcontact/get', /^corp:externalcontact\/get:60000$/, 10_000],
    ['externalcontact/get', /^corp:externalcontact\/get:3600000$/, 150_000],
    ['externalcontact/get', /^ip::60000$/, 20_000],
    ['externalcontact/mark_tag', /^corp:externalcontact\/mark_tag:60000$/, 10_000],
    ['media/uploadimg', /:86400000$/, 1_000],
    ['webhook/send', /^key:/, 20],
  ])('of %s keep within every window of %s, with a margin', (api, key, limit) => {
    const through = inWindow({ api, query: { key: 'k' } }, key)
    expect(through).toBeLessThanOrEqual(limit)
    expect(through).toBeGreaterThan(limit * 0.9 - 1)
  })

  it('count app messages by member, without regard to case, and not as basic calls', () => {
    const { buckets, priority } = planOf({ api: 'message/send', body: { touser: 'Guide01|guide02|GUIDE01' } }, AGENT)
    expect(priority).toBe('send')
    expect(buckets.map((b) => b.key)).toEqual([
      `member:message/send:${AGENT}:guide01:${MINUTE_MS}`,
      `member:message/send:${AGENT}:guide02:${MINUTE_MS}`,
      `member:message/send:${AGENT}:guide01:${HOUR_MS}`,
      `member:message/send:${AGENT}:guide02:${HOUR_MS}`,
    ])
    expect(buckets.every((b) => b.own)).toBe(true)
    expect(planOf({ api: 'message/send', body: { touser: '@all' } }, AGENT).buckets).toEqual([])
  })

  it('never put the key of a webhook into the name of its bucket', () => {
    const [bucket] = planOf({ api: 'webhook/send', query: { key: 'open-sesame' } }, AGENT).buckets
    expect(bucket!.key).not.toContain('sesame')
    expect(bucket!.key).not.toBe(planOf({ api: 'webhook/send', query: { key: 'other' } }, AGENT).buckets[0]!.key)
  })

  it('let known APIs have as many calls at once as is known, others a few, and welcome messages the first place', () => {
    expect(planOf({ api: 'externalcontact/mark_tag' }, AGENT).atOnce).toEqual({ start: 5, most: 5 })
    expect(planOf({ api: 'kf/sync_msg' }, AGENT).atOnce).toEqual({ start: 5, most: 5 })
    expect(planOf({ api: 'user/get' }, AGENT).atOnce.start).toBe(40)
    expect(planOf({ api: 'constructor' }, AGENT).atOnce.start).toBe(5)
    expect(planOf({ api: 'externalcontact/send_welcome_msg' }, AGENT).priority).toBe('welcome')
  })
})
