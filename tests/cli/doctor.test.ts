import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { rm, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { startSandbox, type Sandbox } from '../../sandbox/sandbox.js'
import { parseScenario } from '../../sandbox/scenario.js'
import { openCallback } from '../../src/adapters/wecom/transport/callback.js'
import { doctorCommand } from '../../src/cli/doctor.js'
import { proofOf } from '../../src/http/local-key.js'
import { announceService } from '../../src/app/running-service.js'
import { lockDataDir } from '../../src/app/data-dir.js'
import type { Finding } from '../../src/services/runtime/finding.js'
import { type Clock, DAY_MS, fixedClock, MINUTE_MS, systemClock } from '../../src/time.js'
import { said } from '../../src/said.js'
import { makeSite } from '../support/run-siyu.js'

const CALLBACK = { token: 'doctortoken', encodingAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG' }
const AT = new Date('2026-03-02T02:00:00Z')
let site: Awaited<ReturnType<typeof makeSite>>
let sandbox: Sandbox | undefined
let receiver: Server | undefined

beforeEach(async () => {
  site = await makeSite()
})
afterEach(async () => {
  await sandbox?.close()
  if (receiver !== undefined) await new Promise((resolve) => receiver?.close(resolve))
  sandbox = receiver = undefined
  await rm(site.dir, { recursive: true, force: true })
})

async function open(app: object = {}): Promise<Sandbox> {
  sandbox = await startSandbox({
    file: ':memory:',
    seed: 1,
    startAt: AT,
    clock: 'step',
    scenario: parseScenario({
      apps: [{ name: 'siyu', ...app }],
      members: [
        { userId: 'guide001', name: '导购 001' },
        { userId: 'guide002', name: '导购 002', hasCustomerContact: false },
      ],
      contacts: [],
    }),
  })
  return sandbox
}

type Settings = {
  corpId?: string
  secret?: string
  agentId?: number
  baseUrl?: string
  more?: string
  linkBase?: string
}

async function examine(
  settings: Settings = {},
  clock: Clock = systemClock,
): Promise<{ healthy: boolean; of: Map<string, Finding> }> {
  const { corpId = sandbox!.corpId, secret = sandbox!.app.secret, agentId = sandbox!.app.agentId, more = '' } = settings
  const { baseUrl = sandbox!.url, linkBase = 'https://m.pinpai.cn' } = settings
  const config = site.path('doctor.yaml')
  await writeFile(
    config,
    `brand: { name: 测试品牌 }\nlinkBase: ${linkBase}\ndataDir: ${site.dataDir}\nwecom:\n  baseUrl: ${baseUrl}\n  corpId: ${corpId}\n  agentId: ${agentId}\n  secret: ${secret}\n${more}`,
  )
  let text = ''
  const healthy = await doctorCommand({ config, json: true }, {}, (t) => (text += t), clock)
  const { findings } = JSON.parse(text) as { findings: Finding[] }
  expect(text).not.toContain(secret)
  return { healthy, of: new Map(findings.map((f) => [f.id, f])) }
}

describe('siyu doctor', () => {
  it('finds nothing wrong with a company that is set up', async () => {
    await open()
    const { healthy, of } = await examine({ more: `  contactSyncSecret: ${sandbox!.contactSyncSecret}\n` })
    expect([...of.values()].filter((f) => f.state === 'failed')).toEqual([])
    expect(healthy).toBe(true)
    const ok = ['wecom.reach', 'clock', 'wecom.credentials', 'wecom.ip', 'wecom.agent', 'wecom.range', 'wecom.contact']
    for (const id of [...ok, 'wecom.contact_sync']) expect([id, of.get(id)?.state]).toEqual([id, 'ok'])
    expect(of.get('wecom.contact')?.found).toContain('1 名成员')
    expect(of.get('callback.keys')?.state).toBe('warned')
    expect(of.get('stores.documents')?.state).toBe('skipped')
    expect(of.get('past')?.state).toBe('skipped')
    expect(of.get('journeys.held')?.state).toBe('skipped')
    expect(of.get('touches.held')?.state).toBe('skipped')
  })

  it.each<[string, Settings, string, RegExp]>([
    ['a secret that was reset', { secret: 'no-such-secret' }, 'wecom.credentials', /40001/],
    ['a wrong corp id', { corpId: 'wwnobody' }, 'wecom.credentials', /40013/],
    ['an agent id of another app', { agentId: 1 }, 'wecom.agent', /301002|40056/],
    ['a contact-sync secret that is none', { more: '  contactSyncSecret: wrong\n' }, 'wecom.contact_sync', /40001/],
  ])('names %s and what rests on it', async (_what, settings, id, found) => {
    await open()
    const { healthy, of } = await examine(settings)
    expect(healthy).toBe(false)
    expect(of.get(id)).toMatchObject({ state: 'failed', found: expect.stringMatching(found) })
    expect(of.get(id)?.fix).toContain('→')
  })

  it.each<[string, object, string, RegExp]>([
    ['an address that is not trusted', { trustedIps: ['192.0.2.1'] }, 'wecom.ip', /127\.0\.0\.1/],
    ['an app without customer contact', { customerContact: false }, 'wecom.contact', /48002/],
    ['an app that was switched off', { disabled: true }, 'wecom.agent', /50003/],
    ['an app that sees nobody with the feature', { visible: { members: ['guide002'] } }, 'wecom.contact', /没有人/],
    ['an app that sees nobody', { visible: { members: [], departments: [] } }, 'wecom.range', /nobody/],
  ])('names %s', async (_what, app, id, found) => {
    await open(app)
    const { healthy, of } = await examine()
    expect(of.get(id)).toMatchObject({ state: 'failed', found: expect.stringMatching(found) })
    expect(healthy).toBe(false)
  })

  it('says that nothing answers, and skips the rest', async () => {
    const url = (await open()).url
    await sandbox!.close()
    const { healthy, of } = await examine()
    expect(url).not.toBe('')
    expect(of.get('wecom.reach')).toMatchObject({
      state: 'failed',
      found: expect.stringContaining('ECONNREFUSED'),
    })
    expect(of.get('wecom.contact')?.state).toBe('skipped')
    expect(healthy).toBe(false)
  })

  it('is not ready while customers would be sent to an address of the examples', async () => {
    await open()
    const { healthy, of } = await examine({ linkBase: 'https://m.example.com' })
    expect(healthy).toBe(false)
    expect(of.get('addresses')).toMatchObject({ state: 'failed', found: expect.stringContaining('linkBase') })
  })

  it('warns of a clock that is off, and by how much', async () => {
    await open()
    // A platform whose header tells the time we say: what Node itself writes there is that of this machine.
    receiver = createServer((req, res) => {
      void sandbox!
        .handle({ method: 'GET', url: req.url!, headers: req.headers, body: Buffer.alloc(0) })
        .then((reply) => {
          res.writeHead(reply!.status, { ...reply!.headers, date: AT.toUTCString() })
          res.end(reply!.body)
        })
    })
    await new Promise<void>((resolve) => receiver!.listen(0, '127.0.0.1', resolve))
    const baseUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
    const { healthy, of } = await examine({ baseUrl }, fixedClock(new Date(AT.getTime() - 2 * MINUTE_MS)))
    expect(of.get('clock')).toMatchObject({
      state: 'warned',
      found: expect.stringContaining('慢 120 s'),
    })
    expect(healthy).toBe(true)
  })

  it('plays the URL check against the public address', async () => {
    await open()
    let answer = (query: unknown) => openCallback({ ...CALLBACK, corpId: sandbox!.corpId }).verifyUrl(query)
    receiver = createServer((req, res) =>
      res.end(answer(Object.fromEntries(new URL(req.url ?? '', 'http://x').searchParams))),
    )
    await new Promise<void>((resolve) => receiver!.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/wecom/callback`
    const more = `  callback: { token: ${CALLBACK.token}, encodingAesKey: ${CALLBACK.encodingAesKey}, url: "${url}" }\n`
    const right = await examine({ more })
    expect(['callback.keys', 'callback.public', 'callback.service'].map((id) => right.of.get(id)?.state)).toEqual([
      'ok',
      'ok',
      'skipped',
    ])
    answer = () => '<html>login</html>'
    const wrong = await examine({ more })
    expect(wrong.of.get('callback.public')).toMatchObject({
      state: 'failed',
      fix: expect.stringContaining('反向代理'),
    })
  })

  it('asks a running service to echo, how it sends, what is held, what cannot be used, how far back it knows, and which members have customers', async () => {
    await open()
    const answers: Record<string, object> = {
      '/v1/sending': { stopped: true, planned: 0, ready: 0 },
      '/v1/journeys/held': {
        runs: 5,
        groups: [
          { journeyId: 'care', version: 2, reason: 'lottery is unknown', runs: 4, since: AT.toISOString() },
          { journeyId: 'news', version: 1, reason: 'it is gone', runs: 1, since: AT.toISOString() },
        ],
      },
      '/v1/touches/held': {
        touches: 3,
        channels: [{ channel: 'letter', touches: 3 }],
        unsettled: [{ why: 'wecom: no such member (60111)', dispatches: 2 }],
      },
      '/v1/tags/reactions': {
        open: 3,
        groups: [{ reaction: 'write-back', error: 'it broke', changes: 3, attempts: 2, since: AT.toISOString() }],
      },
      '/v1/documents/unfit': {
        documents: [
          { collection: 'touches', id: 't1', problems: [{ path: 'state', message: 'found null, expected planned' }] },
        ],
      },
      '/v1/lanes': {
        still: [{ lane: 'push-tags', since: AT.toISOString(), times: 9, cause: 'it broke' }],
        inbox: { waiting: 0 },
        rejected: 2,
        refreshes: [{ refresh: 'weekly', at: '2026-03-01T00:00:00.000Z', reason: 'it is refused' }],
      },
      '/v1/ingest/unknown': { events: [{ name: 'order_payed', events: 7, lastAt: AT.toISOString() }] },
      '/v1/wecom/serving': { userIds: ['guide001', 'guide002'] },
      '/v1/past': { from: '2026-03-01T00:00:00.000Z', by: 'upgrade' },
    }
    receiver = createServer((req, res) => {
      const url = new URL(req.url ?? '', 'http://x')
      res.setHeader('Content-Type', 'application/json')
      const echo = () =>
        openCallback({ ...CALLBACK, corpId: sandbox!.corpId }).verifyUrl(Object.fromEntries(url.searchParams))
      const proof = () => proofOf('local-key-0123456789', url.searchParams.get('challenge') ?? '')
      const asText: Record<string, () => string> = { '/wecom/callback': echo, '/service/proof': proof }
      res.end(asText[url.pathname]?.() ?? JSON.stringify(answers[url.pathname]))
    })
    await new Promise<void>((resolve) => receiver!.listen(0, '127.0.0.1', resolve))
    const lock = await lockDataDir(site.dataDir)
    const { port } = receiver.address() as AddressInfo
    await announceService(site.dataDir, `http://127.0.0.1:${port}`, 'local-key-0123456789')
    try {
      const more = `  callback: { token: ${CALLBACK.token}, encodingAesKey: ${CALLBACK.encodingAesKey} }\n`
      const { of, healthy } = await examine({ more })
      expect(of.get('callback.service')?.state).toBe('ok')
      expect(of.get('sending')).toMatchObject({ state: 'warned', fix: 'siyu send resume' })
      expect(of.get('lanes')).toMatchObject({
        state: 'failed',
        found: expect.stringContaining('×9: it broke') as unknown,
      })
      expect(of.get('ingest.rejected')).toMatchObject({ state: 'warned', found: '2' })
      expect(of.get('tags.refreshes')).toMatchObject({
        state: 'failed',
        found: said('1，weekly 2026-03-01 08:00: it is refused', '1, weekly 2026-03-01 08:00: it is refused'),
      })
      expect(of.get('events.unknown')).toMatchObject({
        state: 'warned',
        found: expect.stringContaining('order_payed ×7') as unknown,
      })
      expect(of.get('journeys.held')).toMatchObject({
        state: 'warned',
        found: said(
          '5，care@2 ×4: lottery is unknown；news@1 ×1: it is gone',
          '5, care@2 ×4: lottery is unknown; news@1 ×1: it is gone',
        ),
      })
      expect(of.get('touches.unsettled')).toMatchObject({
        state: 'warned',
        found: said('2，wecom: no such member (60111) ×2', '2, wecom: no such member (60111) ×2'),
      })
      expect(of.get('touches.held')).toMatchObject({
        state: 'warned',
        found: said('3，不认识的渠道：letter ×3', '3, of channels unknown here: letter ×3'),
      })
      expect(of.get('tags.reactions')).toMatchObject({
        state: 'warned',
        found: said('3，write-back ×3，试了 2 次：it broke', '3, write-back ×3, 2 attempts: it broke'),
      })
      expect(of.get('documents.unfit')).toMatchObject({
        state: 'failed',
        found: said(
          '1，touches/t1 state: found null, expected planned',
          '1, touches/t1 state: found null, expected planned',
        ),
      })
      expect(of.get('wecom.contact')).toMatchObject({ state: 'warned', found: expect.stringContaining('guide002') })
      expect(of.get('past')).toMatchObject({
        state: 'ok',
        found: expect.stringMatching(/2026-03-01 08:00 Asia\/Shanghai .*升级/),
      })
      expect(healthy).toBe(false)
    } finally {
      await lock.release()
    }
  })

  it('lists what is wrong with the configuration itself', async () => {
    await open()
    await sandbox!.advanceTo(new Date(AT.getTime() + DAY_MS))
    const { healthy, of } = await examine({ more: '  nonsense: 1\n' })
    expect(of.get('config')?.fix).toContain('nonsense')
    expect(healthy).toBe(false)
  })
})
