import { afterEach, describe, expect, it } from '@jest/globals'
import { Bans, InFlight, Limiter, LIMITS } from '../../sandbox/http/core/limits.js'
import type { Sandbox, SandboxOptions } from '../../sandbox/sandbox.js'
import type { ScenarioInput } from '../../sandbox/scenario.js'
import { VirtualTime } from '../../sandbox/virtual-time.js'
import { LimitSettings, OtherApps } from '../../sandbox/switches.js'
import { HOUR_MS, MINUTE_MS } from '../../src/time.js'
import { open, smallScenario, START } from './support.js'

const PATH = '/cgi-bin/externalcontact/list'
const T0 = START.getTime()
const NOTHING = new URLSearchParams()
const others = (settings: object = {}) => OtherApps.parse(settings)

describe('the table of limits', () => {
  it('cites a page in every row', () => {
    expect(LIMITS.filter((row) => !/page \d{5}/.test(row.source))).toEqual([])
  })
})

describe.each(['fixed', 'sliding'] as const)('a minute of one API in %s windows', (window) => {
  const limiter = () => new Limiter(1, window, others())
  const fill = (l: Limiter, atMs: number, calls: number) => {
    let taken = 0
    for (let i = 0; i < calls; i++) if (l.take(PATH, 'a', 'ip', NOTHING, atMs) === 'ok') taken++
    expect(taken).toBe(calls)
  }

  it('takes 10,000 calls and blocks until the window is over; other APIs go on', () => {
    const l = limiter()
    fill(l, T0 + 1_000, 10_000)
    expect(l.take(PATH, 'a', 'ip', NOTHING, T0 + 2_000)).toMatchObject({ refusal: 'over' })
    expect(l.take(PATH, 'b', 'other ip', NOTHING, T0 + 3_000)).toMatchObject({ refusal: 'blocked' })
    expect(l.take('/cgi-bin/user/get', 'a', 'ip', NOTHING, T0 + 3_000)).toBe('ok')
    const endMs = window === 'fixed' ? T0 + MINUTE_MS : T0 + 2_000 + MINUTE_MS
    expect(l.take(PATH, 'a', 'ip', NOTHING, endMs - 1)).toMatchObject({ refusal: 'blocked' })
    expect(l.take(PATH, 'a', 'ip', NOTHING, endMs)).toBe('ok')
    expect(l.usage(endMs).find((u) => u.name.startsWith(`${PATH} corp`) && u.most === 10_000)?.used).toBe(1)
  })

  it('is two bursts apart: allowed over the edge of a fixed window, refused by a sliding one', () => {
    const l = limiter()
    fill(l, T0 + 59_000, 6_000)
    const over = Array.from({ length: 6_000 }, () => l.take(PATH, 'a', 'ip', NOTHING, T0 + 61_000)).filter(
      (v) => v !== 'ok',
    )
    expect(over.length > 0).toBe(window === 'sliding')
  })

  it('counts the hour beside the minute', () => {
    const l = limiter()
    for (let minute = 0; minute < 15; minute++) fill(l, T0 + minute * MINUTE_MS, 10_000)
    const verdict = l.take(PATH, 'a', 'ip', NOTHING, T0 + 15 * MINUTE_MS)
    expect(verdict).toMatchObject({ refusal: 'over', rule: { windowMs: HOUR_MS } })
  })
})

describe("another app's share", () => {
  it('uses up its part of each hour in bursts that are the same every time', () => {
    const used = (seed: number) => {
      const l = new Limiter(seed, 'fixed', others({ share: 0.2 }))
      const counts: number[] = []
      for (let minute = 0; minute < 60; minute++) {
        const atMs = T0 + minute * MINUTE_MS + MINUTE_MS - 1
        let n = 0
        while (l.take(PATH, 'a', 'ip', NOTHING, atMs) === 'ok') n++
        counts.push(n)
      }
      return counts
    }
    const counts = used(1)
    const beforeTheHourIsUsedUp = counts.slice(0, 10).map((n) => Math.round(n / 100) * 100)
    expect(new Set(beforeTheHourIsUsedUp)).toEqual(new Set([8_000, 10_000])) // 2,000 gone in a busy minute
    expect(counts.reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(120_000) // 20 % of the hour's 150,000 gone by its end
    expect(counts.reduce((a, b) => a + b, 0)).toBeLessThan(150_000)
    expect(used(1)).toEqual(counts)
    expect(used(2)).not.toEqual(counts)
  })
})

describe('calls in flight and bans', () => {
  it('admit as many calls of an API as the table or the scenario says', () => {
    const inFlight = new InFlight(LimitSettings.parse({ lanes: { [PATH]: 2 }, defaultLanes: 3 }))
    const width = (path: string) => Array.from({ length: 9 }, () => inFlight.enter(path)).filter(Boolean).length
    expect([width(PATH), width('/cgi-bin/externalcontact/mark_tag'), width('/cgi-bin/user/get')]).toEqual([2, 5, 3])
    inFlight.leave(PATH)
    expect([inFlight.enter(PATH), inFlight.enter(PATH)]).toEqual([true, false])
  })

  it('ban for an hour', () => {
    const bans = new Bans(LimitSettings.parse({ failingCallsPerHour: 3 }))
    for (let i = 0; i < 3; i++) bans.failingCall('a', T0)
    expect([bans.isBanned('app a', T0 + HOUR_MS - 1), bans.isBanned('app a', T0 + HOUR_MS)]).toEqual([true, false])
    expect(bans.isBanned('app b', T0)).toBe(false)
  })
})

describe('the sandbox', () => {
  let sandbox: Sandbox
  afterEach(() => sandbox.close())
  const start = async (scenario: ScenarioInput, more: Partial<SandboxOptions> = {}) => {
    sandbox = await open(scenario, more)
  }
  const call = async (path: string, body?: object) => {
    const request = {
      method: body === undefined ? 'GET' : 'POST',
      url: path,
      headers: {},
      body: Buffer.from(body === undefined ? '' : JSON.stringify(body)),
    }
    const response = await sandbox.handle(request)
    return JSON.parse(response!.body.toString()) as { errcode: number; access_token: string }
  }
  const token = async () =>
    (await call(`/cgi-bin/gettoken?corpid=${sandbox.corpId}&corpsecret=${sandbox.app.secret}`)).access_token

  it('answers 45009 above 10,000 a minute, until the next one, and not with limits off', async () => {
    await start(smallScenario())
    const url = `/cgi-bin/user/get?access_token=${await token()}&userid=g1`
    for (let i = 0; i < 10_000; i++) await call(url)
    expect([(await call(url)).errcode, (await call(url)).errcode]).toEqual([45009, 45009])
    await sandbox.advanceTo(new Date(T0 + MINUTE_MS))
    expect((await call(url)).errcode).toBe(0)
    await sandbox.close()
    await start(smallScenario(), { limits: false })
    const free = `/cgi-bin/user/get?access_token=${await token()}&userid=g1`
    let refused = 0
    for (let i = 0; i < 10_001; i++) if ((await call(free)).errcode !== 0) refused++
    expect(refused).toBe(0)
  })

  it('bans an address after many wrong secrets, for an hour', async () => {
    await start(smallScenario({ limits: { wrongSecretsPerHour: 3 } }))
    const wrong = () => call(`/cgi-bin/gettoken?corpid=${sandbox.corpId}&corpsecret=wrong`)
    expect([
      (await wrong()).errcode,
      (await wrong()).errcode,
      (await wrong()).errcode,
      (await wrong()).errcode,
    ]).toEqual([40001, 40001, 40001, 45009])
    await sandbox.advanceTo(new Date(T0 + HOUR_MS))
    expect(await token()).toMatch(/^sandbox-token-/)
  })

  it('bans an app after many failing calls; being throttled does not count as one', async () => {
    await start(smallScenario({ limits: { failingCallsPerHour: 5 } }))
    const access = await token()
    const get = async (userid: string) =>
      (await call(`/cgi-bin/user/get?access_token=${access}&userid=${userid}`)).errcode
    for (let i = 0; i < 5; i++) expect(await get('nobody')).toBe(60111)
    expect(await get('g1')).toBe(45009)
    await sandbox.advanceTo(new Date(T0 + HOUR_MS))
    expect(await get('g1')).toBe(0)
  })

  it('counts calls in flight by its clock: 45033 when there are too many, and two edits of one customer collide', async () => {
    const time = new VirtualTime(T0)
    const mark = '/cgi-bin/externalcontact/mark_tag'
    const more = { behaviour: { concurrentEdit: 45035 as const }, latency: { p50Ms: 200, p99Ms: 800 } }
    await start(smallScenario({ ...more, limits: { lanes: { '/cgi-bin/user/get': 3 } } }), { clock: time })
    await time.run(async () => {
      const access = await token()
      const startMs = time.now().getTime()
      const read = () => call(`/cgi-bin/user/get?access_token=${access}&userid=g1`)
      const codes = (await Promise.all(Array.from({ length: 5 }, read))).map((r) => r.errcode)
      expect(codes).toEqual([0, 0, 0, 45033, 45033])
      expect(time.now().getTime() - startMs).toBeGreaterThan(50)
      expect((await read()).errcode).toBe(0)
      const edit = (id: string) =>
        call(`${mark}?access_token=${access}`, { userid: 'g1', external_userid: id, add_tag: ['etVip'] })
      const edits = await Promise.all([edit('wmc2'), edit('wmc2'), edit('wmc3')])
      expect(edits.map((r) => r.errcode)).toEqual([0, 45035, 0])
      expect((await edit('wmc2')).errcode).toBe(0)
    })
  })

  it('draws latencies with the median and tail it was given, the same every time', async () => {
    const latencies = async () => {
      const time = new VirtualTime(T0)
      await start(smallScenario({ latency: { p50Ms: 200, p99Ms: 1_000 } }), { clock: time })
      const taken: number[] = []
      await time.run(async () => {
        for (let i = 0; i < 1_000; i++) {
          const before = time.now().getTime()
          await call('/cgi-bin/user/get')
          taken.push(time.now().getTime() - before)
        }
      })
      return taken
    }
    const taken = await latencies()
    const sorted = [...taken].sort((a, b) => a - b)
    expect(sorted[500]).toBeGreaterThan(180)
    expect(sorted[500]).toBeLessThan(220)
    expect(sorted[990]).toBeGreaterThan(750)
    expect(sorted[990]).toBeLessThan(1_300)
    await sandbox.close()
    expect(await latencies()).toEqual(taken)
  })
})
