import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { sandboxCommand } from '../../sandbox/command.js'
import { defaultScenario, loadScenario, parseScenario } from '../../sandbox/scenario.js'
import { State } from '../../sandbox/state.js'
import type { InvalidInputError } from '../../src/errors.js'
import { compiled } from '../support/compiled.js'
import { stopClocks } from '../support/fake-clock.js'
import { settle, waitUntil } from '../support/wait-until.js'
import { client, contact, hours, massBody, open, PROMPT, receiver, smallScenario, START } from './support.js'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sandbox-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('the state file', () => {
  it('remembers everything: clock, tasks, tokens, log', async () => {
    const file = join(dir, 'state.db')
    const first = await open(smallScenario(), { file })
    const api = await client(first)
    await api.post('externalcontact/add_msg_template', massBody('g1', ['wmc1', 'wmc2']))
    await first.advanceTo(new Date(START.getTime() + 30_000))
    const { controlKey } = first
    const nextAt = first.nextAt()
    await first.close()
    await first.close()

    const second = await open(smallScenario(), { file, startAt: hours(-5) })
    expect(second.now()).toEqual(new Date(START.getTime() + 30_000))
    expect([second.nextAt(), second.controlKey]).toEqual([nextAt, controlKey])
    await second.advanceTo(hours(-1)) // has passed: nothing to play
    expect(second.now()).toEqual(new Date(START.getTime() + 30_000))
    await second.advanceTo(hours(1))
    expect(second.log().map((m) => m.externalUserId)).toEqual(['wmc1', 'wmc2'])
    expect(second.log(1).map((m) => m.externalUserId)).toEqual(['wmc2'])
    await second.close()
  })

  it('is refused with another seed or scenario', async () => {
    const file = join(dir, 'state.db')
    await (await open(smallScenario(), { file })).close()
    await expect(open(smallScenario(), { file, seed: 2 })).rejects.toThrow(/another seed or scenario/)
    await expect(open(smallScenario({ quotaMode: 'day_1' }), { file })).rejects.toThrow(file)
    await (await open(smallScenario(), { file })).close()
  })

  it('is refused when it cannot be opened, and so is a port in use', async () => {
    await expect(open(smallScenario(), { file: join(dir, 'no', 'state.db') })).rejects.toThrow(
      /cannot open the sandbox's state/,
    )
    const sandbox = await open()
    const port = Number(new URL(sandbox.url).port)
    await expect(open(smallScenario(), { port })).rejects.toThrow(`port ${port} is in use`)
    await sandbox.close()
  })
})

describe('size', () => {
  /** Statements that reached the database, whichever way. */
  function countStatements() {
    const ways = (['get', 'all', 'many', 'run'] as const).map((way) => jest.spyOn(State.prototype, way))
    return () => ways.reduce((sum, way) => sum + way.mock.calls.length, 0)
  }
  afterEach(() => void jest.restoreAllMocks())

  it.each([100, 10_000])(
    'of %i contacts costs a few statements for each to start, and no quiet step more than two',
    async (size) => {
      const statements = countStatements()
      const contacts = Array.from({ length: size }, (_, i) => contact(`wm${i}`, 'g1'))
      const sandbox = await open(smallScenario({ contacts }), { file: join(dir, 'state.db') })
      expect(statements()).toBeLessThanOrEqual(5 * size + 50)
      const before = statements()
      const steps = 2_000
      for (let i = 1; i <= steps; i++) await sandbox.advanceTo(hours(i / 4))
      expect(statements() - before).toBeLessThanOrEqual(2 * steps + 10)
      await sandbox.close()
    },
  )
})

describe('the real clock', () => {
  afterEach(() => void jest.useRealTimers())

  it('plays by itself', async () => {
    const members = [{ userId: 'g1', name: '导购 001', diligence: PROMPT }]
    const clock = stopClocks(START)
    const contacts = [contact('wmSoon', 'g1', { addedAt: new Date(START.getTime() + 50).toISOString() })]
    const sandbox = await open({ members, contacts }, { clock: 'real' })
    const app = await receiver(sandbox.app, sandbox.corpId)
    sandbox.setCallbackUrl(app.url)
    clock.pass(49)
    await settle()
    expect(sandbox.nextAt()).toEqual(new Date(START.getTime() + 50))
    clock.pass(1)
    await waitUntil(() => app.callbacks.length > 0, { what: 'the callback of the new customer' })
    expect(app.callbacks.map((c) => c.fields['ExternalUserID'])).toEqual(['wmSoon'])
    await sandbox.close()
    await app.close()
  })
})

describe('scenarios', () => {
  it('come from YAML, and every mistake is named', async () => {
    const good = join(dir, 'good.yaml')
    writeFileSync(
      good,
      'members:\n  - { userId: g1, name: 导购 001 }\ncontacts:\n  - { externalUserId: wm1, name: 顾客, addedAt: "2011-01-01T00:00:00+08:00", followUserIds: [g1] }\n',
    )
    const scenario = await loadScenario(good)
    expect(scenario).toMatchObject({
      timeZone: 'Asia/Shanghai',
      quotaMode: 'month_days',
      contacts: [{ addedAt: new Date('2010-12-31T16:00:00Z') }],
    })
    await expect(loadScenario(join(dir, 'none.yaml'))).rejects.toThrow(/none\.yaml/)
    const bad = {
      members: [
        { userId: 'g1', name: 'x' },
        { userId: 'G1', name: 'y' },
      ],
      contacts: [
        contact('wm1', 'g1'),
        contact('wm1', 'g9', {
          tagIds: ['etGone'],
          addedAt: '2011-01-02T00:00:00Z',
          deletedAt: '2011-01-01T00:00:00Z',
        }),
      ],
    }
    const message = (() => {
      try {
        return JSON.stringify(parseScenario(bad))
      } catch (err) {
        return String(err)
      }
    })()
    for (const part of [
      'members.1.userId',
      'contacts.1.externalUserId',
      'no member "g9"',
      'no tag "etGone"',
      'contacts.1.deletedAt',
    ]) {
      expect(message).toContain(part)
    }
    expect(() =>
      parseScenario({
        members: [{ userId: 'g1', name: 'x', diligence: { confirmAtOnce: 1, confirmLate: 1, never: 0 } }],
      }),
    ).toThrow(/add up to 1/)
    expect(() => parseScenario({ members: [{ userId: 'g1', name: 'x', workHours: ['18:00', '09:00'] }] })).toThrow(
      /work must end/,
    )
  })

  it('are as the documentation shows', async () => {
    const yaml = /```yaml\n([\s\S]*?)```/.exec(readFileSync('docs/sandbox.md', 'utf8'))?.[1] ?? ''
    const file = join(dir, 'documented.yaml')
    writeFileSync(file, yaml)
    const { apps, members, contacts, limits } = await loadScenario(file)
    expect([members.length, contacts.length]).toEqual([1, 1])
    expect(apps.map((a) => a.name)).toEqual(['crm', 'desk'])
    expect(limits.lanes).toEqual({ '/cgi-bin/externalcontact/batch/get_by_user': 8 })
  })

  it('name the line of every mistake', async () => {
    const file = join(dir, 'wrong.yaml')
    writeFileSync(
      file,
      'members:\n  - { userId: g1, name: 导购 001 }\nhabits:\n  readRatio: 7\ncontacts:\n  - externalUserId: wm1\n    name: 顾客\n    addedAt: "2011-01-01T00:00:00+08:00"\n    followUserIds: [g2]\nmembrs: []\n',
    )
    const wrong = (await loadScenario(file).catch((err: InvalidInputError) => err)) as InvalidInputError
    expect(wrong.problems.map((p) => [p.file, p.line, p.path])).toEqual([
      [file, 4, 'habits.readRatio'],
      [file, 10, 'membrs'],
      [file, 9, 'contacts.0.followUserIds'],
    ])
    writeFileSync(file, 'members: [\n')
    await expect(loadScenario(file)).rejects.toThrow(`${file}:1 `)
  })

  it('by default hold people who are the same for the same seed', () => {
    expect(defaultScenario(1, START)).toEqual(defaultScenario(1, START))
    expect(defaultScenario(2, START)).not.toEqual(defaultScenario(1, START))
  })
})

describe('siyu sandbox', () => {
  it('is what the first program of its page finds, as pasted', async () => {
    const program = /```js\n([\s\S]*?)```/.exec(readFileSync('docs/sandbox.md', 'utf8'))![1]!
    const folder = join(dir, 'pasted')
    mkdirSync(folder)
    symlinkSync(compiled('.'), join(folder, 'dist'))
    writeFileSync(join(folder, 'hello-wecom.mjs'), program)
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['hello-wecom.mjs'], { cwd: folder })
    expect(stdout).toMatch(/^guide001 → wm\w+: 您好，新品到店了\n$/)
    expect(stderr).toBe('')
  })

  it('says in one line of JSON how to reach it', async () => {
    const lines: string[] = []
    const sandbox = await sandboxCommand({
      json: true,
      seed: 3,
      clock: 'step',
      startAt: START,
      write: (line) => lines.push(line),
    })
    expect(lines).toHaveLength(1)
    const said = JSON.parse(lines[0]!) as Record<string, unknown>
    expect(said).toEqual({
      url: sandbox.url,
      control: `${sandbox.url}/control`,
      controlKey: sandbox.controlKey,
      corpId: expect.stringMatching(/^ww/),
      apps: {
        siyu: { kind: 'self_built', agentId: 1000002, secret: sandbox.app.secret, callback: sandbox.app.callback },
      },
      contactSyncSecret: sandbox.contactSyncSecret,
      pay: expect.objectContaining({ mchId: sandbox.pay().mchId }),
      weixin: sandbox.weixin(),
    })
    expect(sandbox.app.callback.encodingAesKey).toMatch(/^[A-Za-z0-9]{43}$/)
    expect(sandbox.app.callback.token).toMatch(/^[A-Za-z0-9]{1,32}$/)
    const api = await client(sandbox)
    expect((await api.get('externalcontact/get_follow_user_list'))['follow_user']).toHaveLength(5)
    await sandbox.close()
  })
})
