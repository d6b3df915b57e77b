import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { giftShopFolder } from '../../demo/gift-shop.js'
import { type App, createApp } from '../../src/app/compose.js'
import { loadConfig, placedIn } from '../../src/config.js'
import { takeOverFiles } from '../../src/app/take-over-files.js'
import { quietLog } from '../../src/log.js'
import { acceptRecords } from '../../src/services/ingest/accept-records.js'
import { listAudit } from '../../src/services/runtime/audit.js'
import type { OperationInput } from '../../src/services/runtime/operations.js'
import { runOperation } from '../../src/services/runtime/run-operation.js'
import { publishedVersion } from '../../src/services/definitions/read-published.js'
import { fixedClock } from '../../src/time.js'

const NOW = '2026-03-02T02:00:00Z'
let home: string
const apps: App[] = []
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'siyu-publish-'))
  for (const name of ['one', 'two']) await cp(giftShopFolder(), join(home, name), { recursive: true })
})
afterEach(async () => {
  for (const app of apps.splice(0).reverse()) await app.close()
  await rm(home, { recursive: true, force: true })
})

/** A process over the stores of this test, with files of its own. */
async function open(name: 'one' | 'two'): Promise<App> {
  const base = await loadConfig({ file: 'config/service.yaml', env: {} })
  const { wecom: _unused, ...config } = placedIn(join(home, name), { ...base, linkBase: 'https://m.pinpai.cn' })
  const app = await createApp({
    config: { ...config, dataDir: join(home, 'data') },
    log: quietLog,
    clock: fixedClock(NOW),
    fsync: false,
    hints: false,
    lock: false,
  })
  apps.push(app)
  return app
}

/** The same, as a service starts. */
async function serve(name: 'one' | 'two'): Promise<App> {
  const app = await open(name)
  await takeOverFiles(app)
  return app
}

async function edit(file: string, from: string, to: string): Promise<void> {
  const text = await readFile(join(home, file), 'utf8')
  expect(text).toContain(from)
  await writeFile(join(home, file), text.replace(from, to))
}

const journey = (on: string) =>
  [
    'id: greet-visitors',
    'name: { zh: 到店问候, en: Greet visitors }',
    `enter: { on: ${on} }`,
    'goal: { event: order_paid, within: 14d }',
    'steps: [{ wait: 1d }]',
    '',
  ].join('\n')

const vip = `tags:
  - { id: very_important, name: VIP, type: flag, category: value, owner: crm, purpose: report, when: { event: order_paid } }
`
const asks = [
  'id: greet-visitors',
  'name: { zh: 到店问候, en: Greet visitors }',
  'enter: { on: registered }',
  'goal: { event: order_paid, within: 14d }',
  'steps: [{ wait: 1d }, { branch: [{ if: { tag: very_important }, do: [{ exit: true }] }] }]',
  '',
].join('\n')

const record = (id: string) => ({
  ref: id,
  source: 'shop',
  observedAt: new Date(NOW),
  identifiers: [{ type: 'member_id', value: 'M1' }],
  traits: {},
  events: [{ id, name: 'registered', occurredAt: new Date(NOW), properties: {} }],
})

describe('two processes over the same stores', () => {
  it('work by what one of them published, whatever the files of the other say', async () => {
    const one = await open('one')
    const two = await open('two')
    await one.publish()
    await edit('one/config/policy.yaml', 'confirmWithin: ', 'confirmWithin: 1d # was ')
    await writeFile(join(home, 'one/journeys/greet-visitors.yaml'), journey('registered'))
    // The files of the other process are broken by now: it does not look at them.
    await writeFile(join(home, 'two/config/policy.yaml'), 'not: a policy')
    await one.publish()
    await acceptRecords(two.deps, 'a', [record('r1')])
    await two.runLane('process-batches')
    expect(await two.deps.docs.runs.find({ journeyId: 'greet-visitors' })).toHaveLength(1)
    expect(two.deps.definitions.current.policy.confirmWithin).toBe(86_400_000)
    expect(two.deps.definitions.current).toEqual(one.deps.definitions.current)
  }, 120_000)

  it('correct and withdraw a content for each other', async () => {
    const one = await open('one')
    const two = await open('two')
    await one.publish()
    const operate = (app: App, input: OperationInput<'publish'>) =>
      runOperation(app.operations, 'user:test', 'publish', input)
    await edit('one/config/content/messages.yaml', '好久不见', '别来无恙')
    const { version } = (await operate(one, { correct: ['vip-hello'] })).find((d) => d.change === 'corrected')!
    await two.follow()
    expect(two.deps.definitions.current.corrected).toEqual(new Map([['vip-hello', version]]))
    await operate(two, { withdraw: ['vip-hello'] })
    await one.follow()
    expect(one.deps.definitions.current.withdrawn).toEqual(new Set(['vip-hello']))
    expect(one.deps.definitions.current.contents.get('vip-hello')!.text).toContain('别来无恙')
    expect((await listAudit(one.deps, { limit: 10 })).rows.map((row) => row.target).sort()).toEqual([
      'contents v2, vip-hello corrected',
      'vip-hello withdrawn',
    ])
  }, 120_000)

  it('one alone starts on what is published when runs need what its files have not any more', async () => {
    await writeFile(join(home, 'one/config/tags/vip.yaml'), vip)
    await writeFile(join(home, 'one/journeys/greet-visitors.yaml'), asks)
    const first = await open('one')
    await first.publish()
    await acceptRecords(first.deps, 'a', [record('r1')])
    await first.runLane('process-batches')
    await first.runLane('resume-runs')
    await apps.pop()!.close()
    await rm(join(home, 'one/config/tags/vip.yaml'))
    await rm(join(home, 'one/journeys/greet-visitors.yaml'))
    const again = await serve('one')
    expect(again.deps.definitions.current.tags.map((t) => t.id)).toContain('very_important')
    await expect(again.publish()).rejects.toThrow(
      /tags\.very_important: .*but 1 waiting runs read it: greet-visitors:1:0 →/,
    )
    await again.deps.docs.runs.updateMany({}, { $set: { state: 'ended' } })
    await again.publish()
    expect(again.deps.definitions.current.tags.map((t) => t.id)).not.toContain('very_important')
  }, 120_000)

  it('one alone counts its files when it starts, but for journeys', async () => {
    const first = await serve('one')
    const version = await publishedVersion(first.deps.docs)
    await apps.pop()!.close()
    await edit('one/config/policy.yaml', 'confirmWithin: ', 'confirmWithin: 1d # was ')
    await writeFile(join(home, 'one/journeys/greet-visitors.yaml'), journey('registered'))
    // A question is answered by what is live, and makes nothing live.
    const asked = await open('one')
    expect(asked.deps.definitions.current.version).toBe(version)
    await expect(runOperation(asked.operations, 'user:test', 'publish', { correct: ['nosuch'] })).rejects.toThrow(
      'nosuch',
    )
    expect(await publishedVersion(asked.deps.docs)).toBe(version)
    await apps.pop()!.close()
    const again = await serve('one')
    const { current } = again.deps.definitions
    expect(current.policy.confirmWithin).toBe(86_400_000)
    expect(current.version).toBe(version + 1)
    expect([...current.journeys.keys()]).toEqual(
      again.loaded.journeyFiles.map((f) => f.journey.id).filter((id) => id !== 'greet-visitors'),
    )
    expect((await listAudit(again.deps, { limit: 10 })).rows.map((r) => [r.who, r.outcome, r.target])).toEqual([
      ['system', 'done', 'policy v2'],
      ['user:test', 'refused', 'nosuch'],
      ['system', 'done', expect.stringContaining('policy v1')],
    ])
    await apps.pop()!.close()
    // Nothing was edited: nothing is published.
    expect((await serve('one')).deps.definitions.current.version).toBe(version + 1)
  }, 120_000)
})
