import { describe, expect, it } from '@jest/globals'
import { openClock } from '../../sandbox/clock.js'
import { VirtualTime } from '../../sandbox/virtual-time.js'
import { HOUR_MS, MINUTE_MS } from '../../src/time.js'
import { parseClock } from '../../src/cli/sandbox.js'
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

  it('run N times faster from where they start, sleeps included', async () => {
    const clock = openClock('3600x', START.getTime())
    const before = performance.now()
    await clock.sleep(10 * MINUTE_MS) // a sixth of a second
    const passedMs = clock.now().getTime() - START.getTime()
    expect(performance.now() - before).toBeLessThan(2_000)
    expect(passedMs).toBeGreaterThanOrEqual(10 * MINUTE_MS - 1_000)
    expect(passedMs).toBeLessThan(2 * HOUR_MS)
  })
})

describe('a fast clock', () => {
  it('plays the world by itself, scales expires_in, and stamps callbacks with wall time', async () => {
    const contacts = [contact('wmNew', 'g1', { addedAt: new Date(START.getTime() + HOUR_MS).toISOString() })]
    const sandbox = await open({ members, contacts }, { clock: '7200x' })
    const stamps: number[] = []
    const app = await receiver(sandbox.app, sandbox.corpId, (query) => stamps.push(Number(query.get('timestamp'))))
    sandbox.setCallbackUrl(app.url)
    const url = `/cgi-bin/gettoken?corpid=${sandbox.corpId}&corpsecret=${sandbox.app.secret}`
    const { body } = (await sandbox.handle({ method: 'GET', url, headers: {}, body: Buffer.alloc(0) }))!
    expect(JSON.parse(body.toString())).toMatchObject({ errcode: 0, expires_in: 1 }) // 7,200 s there are 1 s here
    const deadline = performance.now() + 5_000
    while (app.callbacks.length === 0 && performance.now() < deadline) await new Promise((r) => setTimeout(r, 10))
    expect(Math.abs(stamps[0]! - performance.timeOrigin / 1000 - performance.now() / 1000)).toBeLessThan(5)
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
