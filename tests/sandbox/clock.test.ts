import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { openClock } from '../../sandbox/clock.js'
import { VirtualTime } from '../../sandbox/virtual-time.js'
import { HOUR_MS, SECOND_MS } from '../../src/time.js'
import { parseClock } from '../../src/cli/sandbox.js'
import { stopClocks } from '../support/fake-clock.js'
import { waitUntil } from '../support/wait-until.js'
import { client, contact, control, massBody, open, PROMPT, receiver, smallScenario, START } from './support.js'

const members = [{ userId: 'g1', name: '导购 001', diligence: PROMPT }]

describe('clocks', () => {
  it.each([
    ['real', 'real'],
    ['step', 'step'],
    ['60x', '60x'],
    ['1.5x', '1.5x'],
    ['0x', undefined],
    ['fast', undefined],
    ['-2x', undefined],
  ])('are called %s', (text, clock) => {
    expect(parseClock(text)).toBe(clock)
  })

  it('run N times faster than real time from where they start, sleeps included', async () => {
    let realMs = 12_345
    const waits: number[] = []
    const wait = async (ms: number) => {
      waits.push(ms)
      realMs += ms
    }
    const clock = openClock('3600x', START.getTime(), { elapsedMs: () => realMs, wait })
    expect(clock.now()).toEqual(START)
    await clock.sleep(10 * HOUR_MS)
    expect(waits).toEqual([10 * SECOND_MS])
    expect(clock.now()).toEqual(new Date(START.getTime() + 10 * HOUR_MS))
    realMs += 0.5
    expect(clock.now()).toEqual(new Date(START.getTime() + 10 * HOUR_MS + 1_800))
  })

  it('that are fast, real or stepped sleep on real time unless the signal ends it', async () => {
    for (const mode of ['real', 'step', '60x'] as const) {
      const ended = new AbortController()
      const sleeping = openClock(mode, START.getTime()).sleep(1_000 * HOUR_MS, ended.signal)
      ended.abort()
      await sleeping
    }
  })
})

describe('a fast clock', () => {
  afterEach(() => void jest.useRealTimers())

  it('plays the world by itself, scales expires_in, and stamps callbacks with wall time', async () => {
    const wall = new Date('2026-03-02T02:00:00Z')
    const { pass } = stopClocks(wall)
    const contacts = [contact('wmNew', 'g1', { addedAt: new Date(START.getTime() + HOUR_MS).toISOString() })]
    const sandbox = await open({ members, contacts }, { clock: '7200x' })
    const stamps: number[] = []
    const app = await receiver(sandbox.app, sandbox.corpId, (query) => stamps.push(Number(query.get('timestamp'))))
    sandbox.setCallbackUrl(app.url)
    const url = `/cgi-bin/gettoken?corpid=${sandbox.corpId}&corpsecret=${sandbox.app.secret}`
    const { body } = (await sandbox.handle({ method: 'GET', url, headers: {}, body: Buffer.alloc(0) }))!
    expect(JSON.parse(body.toString())).toMatchObject({ errcode: 0, expires_in: 1 }) // 7,200 s there are 1 s here
    expect(app.callbacks).toEqual([])
    pass(HOUR_MS / 7_200)
    await waitUntil(() => app.callbacks.length > 0, { what: 'the callback of the new customer' })
    expect(stamps).toEqual([wall.getTime() / 1000])
    expect(app.callbacks[0]!.fields['CreateTime']).toBe(String((START.getTime() + HOUR_MS) / 1000))
    expect((await control(sandbox, 'advance', { byMs: 1 })).status).toBe(409)
    await sandbox.close()
    await app.close()
  })
})

describe("somebody else's clock", () => {
  it('is obeyed by everything: a mass message is confirmed when it says so, without real waiting', async () => {
    const time = new VirtualTime(START.getTime())
    const sandbox = await open(smallScenario(), { clock: time })
    const api = await client(sandbox)
    await api.post('externalcontact/add_msg_template', massBody('g1', ['wmc1']))
    await time.run(() => time.sleep(HOUR_MS))
    expect(sandbox.log().map((m) => m.externalUserId)).toEqual(['wmc1'])
    expect(sandbox.log()[0]!.sentAt.getTime()).toBeLessThan(START.getTime() + HOUR_MS)
    expect(sandbox.now()).toEqual(new Date(START.getTime() + HOUR_MS))
    await sandbox.close()
  })
})
