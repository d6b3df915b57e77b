import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { AuditLine } from '../../src/services/runtime/audit.js'
import { makeSite, runSiyu, startSiyu, textOf } from '../support/run-siyu.js'
import { waitUntil } from '../support/wait-until.js'

let site: Awaited<ReturnType<typeof makeSite>>
const running: ChildProcess[] = []
beforeEach(async () => {
  site = await makeSite()
})
afterEach(async () => {
  for (const child of running.splice(0)) await end(child, 'SIGKILL')
  await rm(site.dir, { recursive: true, force: true })
})

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const closed = once(child, 'close')
  child.kill(signal)
  return ((await closed) as [number | null])[0]
}

async function serve(): Promise<{ child: ChildProcess; url: string; out: () => string; err: () => string }> {
  const child = startSiyu(['serve', '--config', site.config])
  running.push(child)
  const [out, err] = [textOf(child.stdout), textOf(child.stderr)]
  await waitUntil(
    () => {
      if (child.exitCode !== null) throw new Error(`siyu serve ended: ${err()}`)
      return err().includes('Ctrl-C')
    },
    { what: 'siyu serve to say that it runs' },
  )
  const { url } = JSON.parse(await readFile(join(site.dataDir, 'service.json'), 'utf8')) as { url: string }
  return { child, url, out, err }
}

const siyu = (...args: string[]) => runSiyu([...args, '--config', site.config])

async function writePeople(): Promise<string> {
  const rows = Array.from({ length: 1_200 }, (_, i) => `${i},2026-01-0${1 + (i % 9)}T08:00:00Z,${i + 1}`)
  await writeFile(site.path('people.csv'), ['record_id,registered_at,member_id', ...rows, ''].join('\n'))
  const mapping = site.path('people.yaml')
  await writeFile(
    mapping,
    [
      'rows: people',
      'source: members',
      'file: people.csv',
      'timeZone: Asia/Shanghai',
      'timestampFormat: iso',
      'columns: { recordId: record_id, observedAt: registered_at }',
      'identifiers: { member_id: member_id }',
      'traits: {}',
      'event: registered',
      '',
    ].join('\n'),
  )
  return mapping
}

describe('siyu serve', () => {
  it('does the work of other commands while it runs, and stops when asked to', async () => {
    const { child, url, out, err } = await serve()
    const key = (await readFile(join(site.dataDir, 'api-key'), 'utf8')).trim()
    expect(err()).toContain(join(site.dataDir, 'api-key'))
    expect(err()).not.toContain(key)
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({
      ready: true,
      parts: { documents: 'ok', events: 'ok', jobs: 'ok', disk: 'ok', work: 'ok' },
    })
    expect((await fetch(`${url}/v1/publish`, { method: 'POST' })).status).toBe(401)
    const metrics = await fetch(`${url}/metrics`, { headers: { 'X-Api-Key': key } })
    expect(await metrics.text()).toMatch(/^siyu_inbox_batches 0$/m)

    const mapping = await writePeople()
    for (let repeat = 0; repeat < 2; repeat++) {
      const imported = await siyu('import', mapping)
      expect(imported).toMatchObject({ code: 0 })
      expect(imported.out).toContain('1,200')
    }
    const listed = await siyu('tags', 'list')
    expect(listed.out).toContain('1,200 profiles')
    expect(listed.out).toMatch(/registered_no_order .* 1,200 +100\.0 %/)
    const explained = await siyu('tags', 'explain', 'registered_no_order', '--member', '17')
    expect(explained.out).toMatch(/✓ event registered +1$/m)
    expect(explained.out).toMatch(/✗ event order_paid +0$/m)
    expect((await siyu('tags', 'refresh', '--tag', 'registered_no_order')).out).toContain('1,200 profiles, 0 changes')
    expect((await siyu('tags', 'explain', 'registered_no_orders', '--member', '17')).err).toContain(
      '"registered_no_order"',
    )
    expect((await siyu('why', '--member', '17')).out).toContain('siyu journeys explain')

    expect((await siyu('send', 'stop')).out).toContain('stopped')
    const stopped = await fetch(`${url}/metrics`, { headers: { 'X-Api-Key': key } })
    expect(await stopped.text()).toMatch(/^siyu_sending_stopped 1$/m)
    expect((await siyu('send', 'resume')).out).toContain('not stopped')

    await writeFile(
      site.path('journeys/vip-dormant-30-60d.yaml'),
      (await readFile(site.path('journeys/vip-dormant-30-60d.yaml'), 'utf8')).replace(/^holdout: .*/m, 'holdout: 37%'),
    )
    await rm(site.path('journeys/new-customer-3-days.yaml'))
    const policy = await readFile(site.path('config/policy.yaml'), 'utf8')
    await writeFile(site.path('config/policy.yaml'), policy.replace(/(- |, )?new-customer-3-days(, |\n *)?/, ''))
    const published = await siyu('publish')
    expect(published.out).toMatch(/vip-dormant-30-60d +2 +changed/)
    expect(published.out).toMatch(/registered-7d-no-order +1 +unchanged/)
    expect(published.out).toMatch(/new-customer-3-days +1 +withdrawn/)

    expect(await end(child, 'SIGTERM')).toBe(0)
    // An end that was asked for is no fault.
    expect(out()).not.toContain('"level":"error"')
    expect(existsSync(join(site.dataDir, 'service.json'))).toBe(false)
    // Nothing runs: the command opens the stores itself and finds the same.
    expect((await siyu('tags', 'list')).out).toContain('1,200 profiles')
  })

  it('starts on the published journeys when a file is broken, and after a kill', async () => {
    const first = await serve()
    await writeFile(site.path('journeys/vip-dormant-30-60d.yaml'), 'id: vip-dormant-30-60d\nsteps: nothing\n')
    const refused = await siyu('publish')
    expect(refused).toMatchObject({ code: 1 })
    expect(refused.err).toContain(`${site.path('journeys/vip-dormant-30-60d.yaml')}:2 steps`)
    await end(first.child, 'SIGKILL')
    // The killed service's announcement lies there still; nobody answers, so the command does it itself.
    expect(await readdir(site.dataDir)).toContain('service.json')
    expect((await siyu('send', 'status')).code).toBe(0)
    const again = await serve()
    expect(again.err()).toContain('vip-dormant-30-60d')
    expect(again.out()).toContain('journey file left alone')
    expect(await end(again.child, 'SIGINT')).toBe(0)
  })

  it('records who did what, once, whether a command does it here or the service does it', async () => {
    expect((await siyu('send', 'stop')).code).toBe(0)
    const { child } = await serve()
    const { key } = JSON.parse(await readFile(join(site.dataDir, 'service.json'), 'utf8')) as { key: string }
    await siyu('send', 'resume')
    await siyu('send', 'status')
    expect((await siyu('why', '--member', 'nobody')).code).toBe(1)
    await end(child, 'SIGTERM')
    expect((await siyu('tags', 'refresh')).code).toBe(0)
    const { rows } = JSON.parse((await siyu('audit', '--json')).out) as { rows: AuditLine[] }
    const me = `user:${userInfo().username}`
    const byKey = `key:${createHash('sha256').update(key).digest('hex').slice(0, 8)}`
    expect(rows.map(({ n, who, operation, outcome }) => [n, who, operation, outcome])).toEqual([
      [5, me, 'tags/refresh', 'done'],
      [4, byKey, 'why', 'refused'],
      [3, byKey, 'sending', 'done'],
      [2, 'system', 'publish', 'done'],
      [1, me, 'sending', 'done'],
    ])
    const verified = await siyu('audit', '--verify')
    expect(verified.code).toBe(0)
    expect(verified.out).toContain('5 rows, the chain is whole')
  })
})
