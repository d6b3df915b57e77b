import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { AtOnce, Bucket } from '../../src/adapters/wecom/transport/limits.js'
import type { CallEnd, Lease, QuotaAnswer, QuotaStore } from '../../src/adapters/wecom/transport/quota.js'
import { DAY_MS, HOUR_MS, ManualClock, MINUTE_MS, SECOND_MS } from '../../src/time.js'

const START = new Date('2026-08-03T02:00:00Z') // 10:00 in Shanghai
const API = 'externalcontact/get'
const AT_ONCE: AtOnce = { start: 4, most: 8 }
const WIDE: AtOnce = { start: 1_000_000, most: 1_000_000 }
const LEASE_MS = 15 * SECOND_MS
const SYNC = 4

/** `open` gives two handles to one and the same state, as two processes or clients have them, whose time is `clock`'s. */
export function wecomQuotaContract(
  name: string,
  open: (clock: ManualClock) => Promise<readonly [QuotaStore, QuotaStore]>,
): void {
  describe(`${name} keeps the QuotaStore contract`, () => {
    let clock: ManualClock
    let store: QuotaStore
    let other: QuotaStore
    beforeEach(async () => {
      clock = new ManualClock(START)
      ;[store, other] = await open(clock)
    })
    afterEach(async () => {
      await store.close()
      await other.close()
      await store.close()
    })

    const pass = (ms: number) => clock.set(new Date(clock.now().getTime() + ms))
    const acquire = (
      ask: { api?: string; atOnce?: AtOnce; buckets?: Bucket[]; rank?: number; from?: QuotaStore } = {},
    ) =>
      (ask.from ?? store).acquire({
        api: ask.api ?? API,
        atOnce: ask.atOnce ?? AT_ONCE,
        buckets: ask.buckets ?? [],
        rank: ask.rank ?? 0,
        leaseMs: LEASE_MS,
      })
    const take = async (ask: Parameters<typeof acquire>[0] = {}): Promise<Lease> => {
      const answer = await acquire(ask)
      if (answer.kind !== 'granted') throw new Error(`not granted: ${answer.kind} ${answer.waitMs}`)
      return answer.lease
    }
    const give = (lease: Lease, end: CallEnd, atOnce = AT_ONCE, api = API) => store.release(api, atOnce, lease, end)
    /** One call alone. */
    const once = async (end: CallEnd) => give(await take(), end)
    /** Fills every place, gives all back. Resolves to how many there were. */
    const fill = async (end: CallEnd): Promise<number> => {
      const leases: Lease[] = []
      for (let answer = await acquire(); answer.kind === 'granted'; answer = await acquire()) leases.push(answer.lease)
      for (const lease of leases) await give(lease, end)
      return leases.length
    }
    const bucket = (capacity: number, perMinute: number, over: Partial<Bucket> = {}): Bucket => ({
      key: `corp:test:${MINUTE_MS}`,
      capacity,
      refillPerMs: perMinute / MINUTE_MS,
      own: false,
      shared: true,
      ...over,
    })
    /** Calls one after the other without rest; the instants at which they were let in. */
    const run = async (forMs: number, buckets: Bucket[], rank = 0): Promise<number[]> => {
      const atMs: number[] = []
      const endMs = clock.now().getTime() + forMs
      while (clock.now().getTime() < endMs) {
        const answer = await acquire({ buckets, rank, atOnce: WIDE })
        if (answer.kind === 'granted') {
          atMs.push(clock.now().getTime() - START.getTime())
          await give(answer.lease, 'answered', WIDE)
        } else pass(answer.waitMs)
      }
      return atMs
    }

    describe('buckets', () => {
      it('let a burst through at once and then no more in any minute than burst and refill', async () => {
        const atMs = await run(3 * MINUTE_MS, [bucket(10, 90)])
        expect(atMs.filter((ms) => ms === 0)).toHaveLength(10)
        expect(mostWithin(atMs, MINUTE_MS)).toBeLessThanOrEqual(100)
        expect(atMs.length).toBeGreaterThan(270)
      })

      it('are the same for everybody who shares the state', async () => {
        for (let i = 0; i < 5; i++) {
          await take({ buckets: [bucket(10, 60)], atOnce: WIDE })
          await take({ buckets: [bucket(10, 60)], from: other, atOnce: WIDE })
        }
        expect(await acquire({ buckets: [bucket(10, 60)], atOnce: WIDE })).toMatchObject({
          kind: 'bucket',
          waitMs: 1_000,
        })
      })

      it('take from all or from none, and say whether others need wait as well', async () => {
        const own = bucket(1, 1, { key: `member:a:${MINUTE_MS}`, own: true, shared: false })
        const all = bucket(2, 60)
        await take({ buckets: [all, own] })
        expect(await acquire({ buckets: [all, own] })).toMatchObject({ kind: 'own', waitMs: MINUTE_MS })
        await take({ buckets: [all] })
        expect(await acquire({ buckets: [all, own] })).toMatchObject({ kind: 'bucket', waitMs: MINUTE_MS })
      })

      it('keep a part back for welcome messages', async () => {
        const granted = async (rank: number) => {
          let n = 0
          while ((await acquire({ buckets: [bucket(100, 60)], rank, atOnce: WIDE })).kind === 'granted') n++
          return n
        }
        expect(await granted(SYNC)).toBe(90)
        expect(await granted(1)).toBe(5)
        expect(await granted(0)).toBe(5)
      })

      it('of one call at a time serve every rank', async () => {
        await take({ buckets: [bucket(1, 1)], rank: SYNC })
      })
    })

    describe('calls at a time', () => {
      it('hold as many calls as the table says, over everybody, until they are given back', async () => {
        const mine = [await take(), await take()]
        await take({ from: other })
        await take({ from: other })
        expect(await acquire()).toMatchObject({ kind: 'full', held: 4 })
        await give(mine[0]!, 'answered')
        await take({ from: other })
        expect(await acquire()).toMatchObject({ kind: 'full', held: 4 })
        await take({ api: 'user/get' })
      })

      it('are free again when their process has died, and giving back late is nothing', async () => {
        const lease = await take()
        for (let i = 0; i < 3; i++) await take({ from: other })
        pass(LEASE_MS - 1)
        expect((await acquire()).kind).toBe('full')
        pass(1)
        for (let i = 0; i < 4; i++) await take()
        await give(lease, 'answered')
        expect((await acquire()).kind).toBe('full')
      })

      it('narrow once for all calls that were refused together', async () => {
        expect(await fill('too_parallel')).toBe(4)
        expect(await fill('none')).toBe(2)
      })

      it('never fall below one', async () => {
        for (let i = 0; i < 6; i++) await fill('too_parallel')
        expect(await fill('none')).toBe(1)
      })

      it('grow while they are full and nothing is refused, never above the most', async () => {
        const widths: number[] = []
        for (let i = 0; i < 150; i++) widths.push(await fill('answered'))
        expect(widths[0]).toBe(4)
        expect(Math.max(...widths)).toBe(8)
        expect(widths.at(-1)).toBe(8)
      })

      it('do not grow while they are not full', async () => {
        for (let i = 0; i < 200; i++) await once('answered')
        expect(await fill('none')).toBe(4)
      })

      it('remember the width that was refused, and try it more and more rarely', async () => {
        const cap = 5
        let calls = 0
        const refusedAt: number[] = []
        while (calls < 20_000) {
          const leases: Lease[] = []
          for (let answer = await acquire(); answer.kind === 'granted'; answer = await acquire())
            leases.push(answer.lease)
          calls += leases.length
          if (leases.length > cap) refusedAt.push(calls)
          for (const [i, lease] of leases.entries()) await give(lease, i < cap ? 'answered' : 'too_parallel')
        }
        expect(await fill('none')).toBe(cap)
        expect(refusedAt.length).toBeGreaterThan(1)
        expect(refusedAt.length).toBeLessThan(calls * 0.001)
        const gaps = refusedAt.slice(1).map((at, i) => at - refusedAt[i]!)
        expect(gaps.every((gap, i) => i === 0 || gap > gaps[i - 1]! * 1.5)).toBe(true)
      })

      it('are left to whoever goes first, until she has it or asks no more', async () => {
        const leases = [await take(), await take(), await take(), await take()]
        expect((await acquire({ rank: 1 })).kind).toBe('full')
        await give(leases[0]!, 'answered')
        expect((await acquire({ rank: SYNC, from: other })).kind).toBe('yield')
        await take({ rank: 1 })
        await give(leases[1]!, 'answered')
        await take({ rank: SYNC, from: other })

        expect((await acquire({ rank: 1 })).kind).toBe('full')
        await give(leases[2]!, 'answered')
        expect((await acquire({ rank: SYNC, from: other })).kind).toBe('yield')
        pass(SECOND_MS)
        await take({ rank: SYNC, from: other })
      })
    })

    describe('blocks', () => {
      it('last a minute, then an hour, then until the next day in Shanghai, for everybody', async () => {
        expect(await once('too_often')).toBe(MINUTE_MS)
        expect(await acquire({ from: other })).toMatchObject({ kind: 'blocked', waitMs: MINUTE_MS })
        expect((await acquire({ api: 'user/get' })).kind).toBe('granted')
        pass(MINUTE_MS)
        expect(await once('too_often')).toBe(HOUR_MS)
        pass(HOUR_MS)
        const nextDayMs = new Date('2026-08-03T16:00:00Z').getTime() - clock.now().getTime()
        expect(await once('too_often')).toBe(nextDayMs)
        pass(nextDayMs)
        expect(await once('too_often')).toBe(DAY_MS)
      })

      it('do not grow by answers that were under way, nor end by them', async () => {
        const [first, second, third] = [await take(), await take(), await take()]
        await give(first, 'too_often')
        pass(5_000)
        expect(await give(second, 'too_often')).toBe(55_000)
        await give(third, 'answered')
        expect(await acquire()).toMatchObject({ kind: 'blocked', waitMs: 55_000 })
      })

      it('begin with a minute again after an answer', async () => {
        await once('too_often')
        pass(MINUTE_MS)
        await once('answered')
        expect(await once('too_often')).toBe(MINUTE_MS)
      })
    })

    describe('our share', () => {
      const perMinute = async () => {
        await run(MINUTE_MS, [bucket(10, 90)]) // leaves the burst behind
        return (await run(10 * MINUTE_MS, [bucket(10, 90)])).length / 10
      }

      it('falls when others use the limit too, and comes back, slowest near the height of the refusal', async () => {
        expect(await perMinute()).toBeGreaterThan(88)
        await once('too_often')
        pass(MINUTE_MS)
        const low = await perMinute()
        expect(low).toBeGreaterThan(90 * 0.72)
        expect(low).toBeLessThan(90 * 0.9)
        pass(30 * MINUTE_MS)
        const near = await perMinute()
        expect(near).toBeGreaterThan(90 * 0.92)
        expect(near).toBeLessThan(90 * 0.98)
        pass(6 * HOUR_MS)
        expect(await perMinute()).toBeGreaterThan(88)
      })

      it('leaves alone what nobody shares', async () => {
        const alone = bucket(10, 90, { shared: false, key: `ip::${MINUTE_MS}` })
        await once('too_often')
        pass(MINUTE_MS)
        const atMs = await run(10 * MINUTE_MS, [alone])
        expect(atMs.length).toBeGreaterThan(890)
      })
    })

    it('goes ahead of the clock for whoever says so', async () => {
      const buckets = [bucket(1, 1)]
      await take({ buckets })
      const ask = { api: API, atOnce: AT_ONCE, buckets, rank: 0, leaseMs: LEASE_MS }
      const later: QuotaAnswer = await store.acquire({ ...ask, aheadMs: MINUTE_MS })
      expect(later.kind).toBe('granted')
    })
  })
}

/** Most calls in any window of this length; `atMs` ascending. */
function mostWithin(atMs: readonly number[], windowMs: number): number {
  let most = 0
  let first = 0
  atMs.forEach((ms, last) => {
    while (atMs[first]! <= ms - windowMs) first++
    most = Math.max(most, last - first + 1)
  })
  return most
}
