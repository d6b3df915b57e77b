import { afterEach, describe, expect, it } from '@jest/globals'
import type { Sandbox, SandboxOptions } from '../../sandbox/sandbox.js'
import type { ScenarioInput } from '../../sandbox/scenario.js'
import { client, contact, control, hours, open, receiver, type Receiver, smallScenario } from './support.js'

let sandbox: Sandbox
const receivers: Receiver[] = []
afterEach(async () => {
  await sandbox.close()
  for (const app of receivers.splice(0)) await app.close()
})

async function start(more: Partial<ScenarioInput>, options: Partial<SandboxOptions> = {}): Promise<void> {
  sandbox = await open(smallScenario(more), options)
}
const listen = async (name: string): Promise<Receiver> => {
  const app = sandbox.apps.find((a) => a.name === name)!
  const made = await receiver(app, sandbox.corpId)
  receivers.push(made)
  sandbox.setCallbackUrl(made.url, name)
  return made
}
const as = (name: string) => client(sandbox, sandbox.apps.find((a) => a.name === name)!.secret)
const two: ScenarioInput['apps'] = [{ name: 'crm' }, { name: 'desk', customerContact: false }]

describe('several apps', () => {
  it('have ids, secrets and callback keys of their own', async () => {
    await start({ apps: [...two, { name: 'agent', kind: 'agency', agentId: 7 }] })
    expect(sandbox.apps.map((a) => [a.name, a.kind, a.agentId])).toEqual([
      ['crm', 'self_built', 1000002],
      ['desk', 'self_built', 1000003],
      ['agent', 'agency', 7],
    ])
    expect(new Set(sandbox.apps.map((a) => a.secret)).size).toBe(3)
    expect(new Set(sandbox.apps.map((a) => a.callback.encodingAesKey)).size).toBe(3)
    expect(sandbox.app.name).toBe('crm')
  })

  it('need the customer-contact permission for those APIs', async () => {
    await start({ apps: two })
    const list = { userid: 'g1' }
    expect((await (await as('crm')).get('externalcontact/list', list)).errcode).toBe(0)
    const desk = await as('desk')
    expect((await desk.get('externalcontact/list', list)).errcode).toBe(48002)
    expect((await desk.get('user/get', list)).errcode).toBe(0)
    await control(sandbox, 'apps', { name: 'desk', customerContact: true })
    expect((await desk.get('externalcontact/list', list)).errcode).toBe(0)
  })

  it('are called from trusted addresses only, once there is a list, and not while disabled', async () => {
    await start({ apps: [{ name: 'crm', trustedIps: ['10.1.1.1'] }] })
    const secret = sandbox.app.secret
    const ask = async (url: string, ip: string) =>
      JSON.parse(
        (await sandbox.handle({ method: 'GET', url, headers: {}, body: Buffer.alloc(0), ip }))!.body.toString(),
      ) as { errcode: number; errmsg: string; access_token: string }
    const { access_token } = await ask(`/cgi-bin/gettoken?corpid=${sandbox.corpId}&corpsecret=${secret}`, '10.9.9.9')
    const url = `/cgi-bin/user/get?userid=g1&access_token=${access_token}`
    expect(await ask(url, '10.1.1.1')).toMatchObject({ errcode: 0 })
    expect(await ask(url, '10.9.9.9')).toMatchObject({
      errcode: 60020,
      errmsg: expect.stringContaining('from ip: 10.9.9.9'),
    })
    await control(sandbox, 'apps', { name: 'crm', trustedIps: null, disabled: true })
    expect(await ask(url, '10.9.9.9')).toMatchObject({ errcode: 50003 })
  })

  it('see the members of their range: lists are shorter, naming others is refused', async () => {
    await start({ apps: [{ name: 'crm', visible: { members: ['g1'] } }] })
    const api = await as('crm')
    expect((await api.get('externalcontact/get_follow_user_list'))['follow_user']).toEqual(['g1'])
    expect((await api.get('user/get', { userid: 'g2' })).errcode).toBe(60011)
    expect((await api.get('externalcontact/list', { userid: 'g2' })).errcode).toBe(84061)
    const shared = await api.get('externalcontact/get', { external_userid: 'wmc5' })
    expect((shared['follow_user'] as { userid: string }[]).map((f) => f.userid)).toEqual(['g1'])
    expect((await api.get('externalcontact/get', { external_userid: 'wmc4' })).errcode).toBe(40096)
  })

  it('each get their own copy of a customer event; an app without the permission gets none', async () => {
    const late = contact('wmNew', 'g1', { addedAt: hours(1).toISOString() })
    await start({
      apps: [...two, { name: 'narrow', visible: { members: ['g2'] } }, { name: 'copy' }],
      contacts: [late],
    })
    const [crm, desk, narrow, copy] = [
      await listen('crm'),
      await listen('desk'),
      await listen('narrow'),
      await listen('copy'),
    ]
    await sandbox.advanceTo(hours(2))
    expect([crm, desk, narrow, copy].map((r) => r.callbacks.length)).toEqual([1, 0, 0, 1])
    expect(copy.callbacks[0]!.raw).toBe(crm.callbacks[0]!.raw)
  })

  it('wait for the one that did not acknowledge; the others do not get it again', async () => {
    const late = contact('wmNew', 'g1', { addedAt: hours(1).toISOString() })
    await start({ apps: [{ name: 'crm' }, { name: 'copy' }], contacts: [late], behaviour: { callbackDeliveries: 3 } })
    const [crm, copy] = [await listen('crm'), await listen('copy')]
    copy.refuse(3)
    await expect(sandbox.advanceTo(hours(2))).rejects.toThrow('HTTP 500')
    await sandbox.advanceTo(hours(2))
    expect([crm.callbacks.length, copy.callbacks.length]).toEqual([1, 1])
  })
})

describe('tokens', () => {
  it('belong to one app, come again the same, and are not extended', async () => {
    await start({ apps: two })
    const ask = async (secret: string) => {
      const url = `/cgi-bin/gettoken?corpid=${sandbox.corpId}&corpsecret=${secret}`
      const { body } = (await sandbox.handle({ method: 'GET', url, headers: {}, body: Buffer.alloc(0) }))!
      return JSON.parse(body.toString()) as { access_token: string; expires_in: number }
    }
    const [crm, desk] = sandbox.apps
    const first = await ask(crm!.secret)
    expect([first.access_token.length, first.expires_in]).toEqual([214, 7200])
    await sandbox.advanceTo(hours(1))
    expect(await ask(crm!.secret)).toEqual({ ...first, expires_in: 3600 })
    expect((await ask(desk!.secret)).access_token).not.toBe(first.access_token)
    await sandbox.advanceTo(hours(2))
    expect((await ask(crm!.secret)).access_token).not.toBe(first.access_token)
  })

  it('are taken from the query alone', async () => {
    await start({})
    const url = '/cgi-bin/user/get?userid=g1'
    const request = {
      method: 'GET',
      url,
      headers: { access_token: 'x', authorization: 'Bearer x' },
      body: Buffer.alloc(0),
    }
    expect(JSON.parse((await sandbox.handle(request))!.body.toString())).toMatchObject({ errcode: 41001 })
  })
})

describe('old calls', () => {
  it.each(['externalcontact/get_group_msg_result', 'externalcontact/transfer'])(
    'refuse %s as retired',
    async (path) => {
      await start({})
      expect((await (await client(sandbox)).post(path, {})).errcode).toBe(48005)
    },
  )
})
