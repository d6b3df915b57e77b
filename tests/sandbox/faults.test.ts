import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { FaultInput } from '../../sandbox/http/core/faults.js'
import type { Sandbox, SandboxOptions } from '../../sandbox/sandbox.js'
import type { ScenarioInput } from '../../sandbox/scenario.js'
import { VirtualTime } from '../../sandbox/virtual-time.js'
import { contact, hours, open, receiver, type Receiver, smallScenario, START } from './support.js'

const GET = '/cgi-bin/user/get'
const MARK = '/cgi-bin/externalcontact/mark_tag'
let sandbox: Sandbox
let access: string

async function start(scenario: ScenarioInput = smallScenario(), more: Partial<SandboxOptions> = {}): Promise<void> {
  sandbox = await open(scenario, more)
  const url = `/cgi-bin/gettoken?corpid=${sandbox.corpId}&corpsecret=${sandbox.app.secret}`
  access = (JSON.parse((await raw(url))!) as { access_token: string }).access_token
}
async function raw(url: string, body?: object | string): Promise<string | undefined> {
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
  const request = { method: 'POST', url, headers: {}, body: Buffer.from(text) }
  return (await sandbox.handle(request))?.body.toString()
}
const read = () => raw(`${GET}?access_token=${access}&userid=g1`)
const mark = (add: string) =>
  raw(`${MARK}?access_token=${access}`, { userid: 'g1', external_userid: 'wmc2', add_tag: [add] })
const codeOf = (text: string | undefined) => (JSON.parse(text!) as { errcode: number }).errcode
const isTagged = async () => {
  const url = `/cgi-bin/externalcontact/get?access_token=${access}&external_userid=wmc2`
  return (await raw(url))!.includes('etVip')
}
afterEach(() => sandbox.close())

describe('faults of calls', () => {
  beforeEach(() => start())

  it.each<[FaultInput, (answer: string | undefined) => boolean, boolean]>([
    [{ kind: 'errcode', errcode: -1 }, (a) => codeOf(a) === -1, false],
    [{ kind: 'reset' }, (a) => a === undefined, false],
    [{ kind: 'html', status: 404 }, (a) => a!.startsWith('<html>'), false],
    [{ kind: 'lost_reply' }, (a) => a === undefined, true],
    [{ kind: 'truncated' }, (a) => a!.startsWith('{"errcode":0') && !a!.endsWith('}'), true],
    [
      { kind: 'malformed_json_warning' },
      (a) => codeOf(a) === 0 && a!.includes('ok. Warning: wrong json format. '),
      true,
    ],
  ])('%j: what is seen, and whether it took effect', async (fault, isAsExpected, tookEffect) => {
    sandbox.fault({ ...fault, path: '/cgi-bin/externalcontact/*' } as FaultInput)
    expect(codeOf(await read())).toBe(0) // another path
    expect(isAsExpected(await mark('etVip'))).toBe(true)
    expect(await isTagged()).toBe(tookEffect)
  })

  it('strike a share of calls by seed, path and number, whatever else is called in between', async () => {
    const struck = async (seed: number, alsoOthers: boolean) => {
      sandbox.clearFaults()
      sandbox.fault({ kind: 'errcode', errcode: -1, ratio: 0.2, seed })
      const codes: number[] = []
      for (let i = 0; i < 200; i++) {
        codes.push(codeOf(await read()))
        if (alsoOthers) await isTagged()
      }
      return codes
    }
    const first = await struck(1, false)
    const failed = first.filter((c) => c === -1).length
    expect(failed).toBeGreaterThan(20)
    expect(failed).toBeLessThan(65)
    await sandbox.close()
    await start()
    expect(await struck(1, true)).toEqual(first)
    await sandbox.close()
    await start()
    expect(await struck(2, false)).not.toEqual(first)
  })

  it('strike WeChat Pay and the official account in their own words', async () => {
    sandbox.fault({ kind: 'errcode', errcode: -1, path: '/v3/*' })
    sandbox.fault({ kind: 'errcode', errcode: -1, path: '/sns/*' })
    expect(JSON.parse((await raw('/v3/marketing/favor/stocks'))!)).toMatchObject({ code: 'SYSTEM_ERROR' })
    expect(codeOf(await raw('/sns/jscode2session?appid=x'))).toBe(-1)
  })

  it('are listed with how often they struck, and cleared', async () => {
    sandbox.fault({ kind: 'errcode', errcode: -1, path: GET, times: 2 })
    expect([codeOf(await read()), codeOf(await read()), codeOf(await read())]).toEqual([-1, -1, 0])
    sandbox.fault({ kind: 'reset', ratio: 1 })
    sandbox.clearFaults()
    expect(codeOf(await read())).toBe(0)
    expect(() => sandbox.fault({ kind: 'reset', ratio: 0.5, times: 1 })).toThrow(/times or ratio/)
    expect(() => sandbox.fault({ kind: 'slow', ms: 0 })).toThrow()
  })

  it("shift the platform's clock: a token ends early by it", async () => {
    await sandbox.advanceTo(new Date(hours(2).getTime() - 20_000))
    expect(codeOf(await read())).toBe(0)
    sandbox.fault({ kind: 'clock_skew', ms: 30_000 })
    expect(codeOf(await read())).toBe(42001)
    sandbox.fault({ kind: 'clock_skew', ms: 0 })
    expect(codeOf(await read())).toBe(0)
  })
})

describe('slow replies', () => {
  it('take that long on the sandbox’s clock, and take effect at once', async () => {
    const time = new VirtualTime(START.getTime())
    await start(smallScenario(), { clock: time })
    sandbox.fault({ kind: 'slow', ms: 7_000, path: MARK })
    await time.run(async () => {
      const slow = mark('etVip')
      expect(await isTagged()).toBe(true)
      expect(codeOf(await slow)).toBe(0)
      expect(time.now().getTime() - START.getTime()).toBe(7_000)
    })
  })
})

describe('malformed JSON', () => {
  const broken = `{"userid":"g1","external_userid":"wmc2","add_tag":["etVip"],"remove_tag":[oops]}`
  it('is refused, or read as far as it goes where the scenario says so', async () => {
    await start()
    expect(codeOf(await raw(`${MARK}?access_token=${access}`, broken))).toBe(40058)
    await sandbox.close()
    await start(smallScenario({ behaviour: { lenientJson: true } }))
    const answer = await raw(`${MARK}?access_token=${access}`, broken)
    expect(JSON.parse(answer!)).toEqual({ errcode: 0, errmsg: 'ok. Warning: wrong json format. ' })
    expect(await isTagged()).toBe(true)
  })
})

describe('faults of callbacks', () => {
  let app: Receiver
  const late = Array.from({ length: 40 }, (_, i) =>
    contact(`wmNew${i}`, 'g1', { addedAt: new Date(hours(1).getTime() + i * 1_000).toISOString() }),
  )
  const ids = () => app.callbacks.map((c) => String(c.fields['ExternalUserID']))
  beforeEach(async () => {
    await start(smallScenario({ contacts: late }))
    app = await receiver(sandbox.app, sandbox.corpId)
    sandbox.setCallbackUrl(app.url)
  })
  afterEach(() => app.close())

  it('double some, the same bytes', async () => {
    sandbox.fault({ kind: 'callback_duplicate', ratio: 0.2 })
    await sandbox.advanceTo(hours(2))
    const doubled = app.callbacks.filter((c, i) => i > 0 && c.raw === app.callbacks[i - 1]!.raw).length
    expect(doubled).toBeGreaterThan(1)
    expect([new Set(ids()).size, app.callbacks.length]).toEqual([40, 40 + doubled])
  })

  it('put some out of order, and lose none', async () => {
    sandbox.fault({ kind: 'callback_reorder', ratio: 0.3 })
    await sandbox.advanceTo(hours(2))
    const sent = late.map((c) => c.externalUserId)
    expect(ids()).not.toEqual(sent)
    expect([...ids()].sort()).toEqual([...sent].sort())
  })

  it('delay one by the clock, and drop one', async () => {
    sandbox.fault({ kind: 'callback_delay', ms: 30 * 60_000 })
    await sandbox.advanceTo(new Date(hours(1).getTime() + 5_000))
    expect(ids()).toEqual(['wmNew1', 'wmNew2', 'wmNew3', 'wmNew4', 'wmNew5'])
    sandbox.fault({ kind: 'callback_drop' })
    await sandbox.advanceTo(hours(2))
    expect(ids()).toHaveLength(39)
    expect(ids().at(-1)).toBe('wmNew0')
    expect(ids()).not.toContain('wmNew6')
    expect(sandbox.counts().callbacks).toEqual({ delivered: 39, waiting: 0, lost: 1 })
  })

  it('stamp them by a clock that is off', async () => {
    sandbox.fault({ kind: 'clock_skew', ms: -30_000 })
    await sandbox.advanceTo(hours(1))
    expect(app.callbacks[0]!.fields['CreateTime']).toBe(String(hours(1).getTime() / 1000 - 30))
  })
})

describe('retries of callbacks', () => {
  const one = [contact('wmNew', 'g1', { addedAt: hours(1).toISOString() })]
  it.each([
    [{ callbackDeliveries: 3 as const }, 3],
    [{ callbackDeliveries: 4 as const }, 4],
    [{ callbackRetry: 'connection_failure' as const }, 1],
  ])('with %j the receiver sees a failing callback %i times', async (behaviour, deliveries) => {
    await start(smallScenario({ contacts: one, behaviour }))
    const app = await receiver(sandbox.app, sandbox.corpId)
    sandbox.setCallbackUrl(app.url)
    app.refuse(deliveries)
    await expect(sandbox.advanceTo(hours(2))).rejects.toThrow('HTTP 500')
    await sandbox.advanceTo(hours(2))
    expect(app.callbacks).toHaveLength(1) // the next one was not refused: all refusals were used up
    await app.close()
  })
})

describe('several callbacks at once', () => {
  it('keep the order of each customer', async () => {
    const contacts = Array.from({ length: 30 }, (_, i) =>
      contact(`wmNew${i}`, 'g1', {
        addedAt: hours(1).toISOString(),
        deletedAt: new Date(hours(1).getTime() + 500).toISOString(),
      }),
    )
    await start(smallScenario({ contacts }), { callbackQueues: 8 })
    const app = await receiver(sandbox.app, sandbox.corpId)
    sandbox.setCallbackUrl(app.url)
    await sandbox.advanceTo(hours(2))
    expect(app.callbacks).toHaveLength(60)
    const types = new Map<string, string[]>()
    for (const { fields } of app.callbacks) {
      const id = String(fields['ExternalUserID'])
      types.set(id, [...(types.get(id) ?? []), String(fields['ChangeType'])])
    }
    expect(new Set([...types.values()].map(String))).toEqual(new Set(['add_external_contact,del_follow_user']))
    await app.close()
  })
})
