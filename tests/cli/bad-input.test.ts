import { appendFile, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { existsSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { startSandbox } from '../../sandbox/sandbox.js'
import { defaultScenario } from '../../sandbox/scenario.js'
import { lockDataDir } from '../../src/app/data-dir.js'
import { makeSite, runSiyu } from '../support/run-siyu.js'

let site: Awaited<ReturnType<typeof makeSite>>
beforeEach(async () => {
  site = await makeSite()
})
afterEach(() => rm(site.dir, { recursive: true, force: true }))

const lineOf = async (file: string, text: string) =>
  (await readFile(file, 'utf8')).split('\n').findIndex((line) => line.includes(text)) + 1
const replaceIn = async (file: string, from: string | RegExp, to: string) =>
  writeFile(file, (await readFile(file, 'utf8')).replace(from, to))

/** One clear message: no stack trace, and nothing but what is wrong. */
function expectMessage({ code, err }: { code: number | null; err: string }, ...parts: string[]): void {
  expect(code).toBe(1)
  for (const part of parts) expect(err).toContain(part)
  expect(err).not.toMatch(/^\s+at .*:\d+:\d+/m)
}

describe('siyu with bad input', () => {
  it('names file, line and fix of a broken journey file, and publishes nothing', async () => {
    const file = site.path('journeys/vip-dormant-30-60d.yaml')
    await replaceIn(file, /^(\s*)goal:/m, '$1gaol:')
    const line = await lineOf(file, 'gaol:')
    for (const command of ['check', 'publish', 'serve']) {
      expectMessage(await runSiyu([command, '--config', site.config]), `${file}:${line} gaol`, 'did you mean "goal"')
      if (command !== 'serve') expect(existsSync(site.dataDir)).toBe(false)
    }
    await writeFile(file, 'id: [\n')
    expectMessage(await runSiyu(['check', '--config', site.config]), `${file}:`)
  })

  it('names file, line and fix of broken chat rules, once a bot is configured', async () => {
    const file = site.path('config/wechaty.yaml')
    await replaceIn(file, /keywords: \[多少钱/, 'keyword: [多少钱')
    expect((await runSiyu(['check', '--config', site.config])).code).toBe(0)
    await appendFile(site.config, `wechaty: { puppet: wechaty-puppet-service, rules: ${file} }\n`)
    const line = await lineOf(file, 'keyword: [多少钱')
    expectMessage(await runSiyu(['check', '--config', site.config]), `${file}:${line}`, 'keyword')
  })

  it('names file, line and the nearest event of a tag with an unknown event', async () => {
    const file = site.path('config/tags/lifecycle.yaml')
    await replaceIn(file, /event: order_paid/, 'event: order_payed')
    const line = await lineOf(file, 'order_payed')
    for (const command of ['check', 'publish', 'serve']) {
      const ended = await runSiyu([command, '--config', site.config])
      expectMessage(ended, `${file}:${line}`, 'there is no event "order_payed"', 'did you mean "order_paid"')
      expect(existsSync(site.dataDir)).toBe(false)
    }
  })

  it('names file, line and the columns there are when a mapping names a wrong one, before it imports anything', async () => {
    const file = site.path('config/sources/members.yaml')
    await writeFile(site.path('members.csv'), 'record_id,registered_at,member_id\n1,2011-01-01T00:00:00Z,7\n')
    await writeFile(
      file,
      [
        'rows: people',
        'source: members',
        'file: ../../members.csv',
        'timeZone: Europe/London',
        'timestampFormat: iso',
        'columns: { recordId: record_id, observedAt: registered_at }',
        'identifiers:',
        '  member_id: member_number',
        'traits: {}',
        '',
      ].join('\n'),
    )
    const ended = await runSiyu(['import', file, '--config', site.config])
    expectMessage(ended, `${file}:8 identifiers.member_id`, 'no column "member_number"', 'it has: record_id')
    expect(existsSync(site.dataDir)).toBe(false)
    await appendFile(site.config, `sources: [${file}]\n`)
    expectMessage(await runSiyu(['check', '--config', site.config]), `${file}:8 identifiers.member_id`)
  })

  it('refuses orders in another currency than the brand’s', async () => {
    await replaceIn(site.config, 'currency: GBP', 'currency: CNY')
    const file = 'examples/gift-shop/config/sources/online-retail.yaml'
    const line = await lineOf(file, 'currency:')
    expectMessage(await runSiyu(['import', file, '--config', site.config]), `${file}:${line} currency`, 'GBP', 'CNY')
    expect(existsSync(site.dataDir)).toBe(false)
  })

  it('names MONGODB_URI when MongoDB cannot be reached', async () => {
    const ended = await runSiyu(['serve', '--config', site.config], { MONGODB_URI: 'mongodb://127.0.0.1:1' })
    expectMessage(ended, 'MongoDB cannot be reached at 127.0.0.1:1', 'MONGODB_URI')
    expect((await readdir(site.dataDir)).filter((name) => !name.startsWith('lock.'))).toEqual([])
  })

  it('names the port and its field when the port is in use', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    try {
      const ended = await runSiyu(['serve', '--config', site.config, '--port', String(port)])
      expectMessage(ended, 'http.port', `port ${port} on 127.0.0.1 is already in use`, '--port')
      expect(existsSync(site.dataDir)).toBe(false)
    } finally {
      await new Promise((resolve) => other.close(resolve))
    }
  })

  it('names the process that uses the data directory', async () => {
    const lock = await lockDataDir(site.dataDir)
    try {
      for (const command of [['serve'], ['publish'], ['send', 'stop']]) {
        const ended = await runSiyu([...command, '--config', site.config])
        expectMessage(ended, `data directory ${site.dataDir} is in use by process ${process.pid}`, 'dataDir')
      }
      expect((await readdir(site.dataDir)).filter((name) => !name.startsWith('lock.'))).toEqual([])
    } finally {
      await lock.release()
    }
  })

  it('names wecom.secret, its line and where to get a new one when WeCom refuses it', async () => {
    const sandbox = await startSandbox({
      file: ':memory:',
      seed: 1,
      startAt: new Date('2026-01-01T00:00:00Z'),
      clock: 'step',
      scenario: defaultScenario(1, new Date('2026-01-01T00:00:00Z')),
    })
    try {
      await appendFile(
        site.config,
        [
          'wecom:',
          `  baseUrl: ${sandbox.url}`,
          `  corpId: ${sandbox.corpId}`,
          `  agentId: ${sandbox.app.agentId}`,
          '  secret: ${WECOM_SECRET}',
          '',
        ].join('\n'),
      )
      const line = await lineOf(site.config, 'secret:')
      const unset = await runSiyu(['wecom', 'sync', '--config', site.config])
      expectMessage(unset, `${site.config}:${line} wecom.secret`, 'WECOM_SECRET is not set')
      expect(existsSync(site.dataDir)).toBe(false)
      const ended = await runSiyu(['wecom', 'sync', '--config', site.config], { WECOM_SECRET: 'reset-long-ago' })
      expectMessage(ended, `${site.config}:${line} wecom.secret`, '应用管理', '40001')
      expect(ended.err).not.toContain('reset-long-ago')
      const env = { WECOM_SECRET: sandbox.app.secret }
      expect((await runSiyu(['tags', 'list', '--config', site.config], env)).out).toContain('0 profiles')
      expect((await runSiyu(['wecom', 'sync', '--config', site.config], env)).code).toBe(0)
    } finally {
      await sandbox.close()
    }
  })

  it('says which options are wrong', async () => {
    expectMessage(await runSiyu(['serve', '--role', 'api', '--config', site.config]), 'MONGODB_URI', 'REDIS_URL')
    expectMessage(await runSiyu(['serve', '--role', 'boss', '--config', site.config]), '"boss"', 'scheduler')
    expectMessage(await runSiyu(['why', '--config', site.config]), '--profile 42')
    const nowhere = await runSiyu(['check', '--config', site.path('none.yaml')], { LANG: 'en_GB.UTF-8' })
    expectMessage(nowhere, site.path('none.yaml'), 'not found')
    expect(existsSync(site.dataDir)).toBe(false)
  })
})
