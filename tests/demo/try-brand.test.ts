import { afterEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { startTrial, type Trial } from '../../demo/try-brand.js'
import { initCommand } from '../../src/cli/init.js'
import { personCommand } from '../../src/cli/people.js'
import { tryCommand } from '../../src/cli/try.js'
import { quietLog } from '../../src/log.js'
import { fixedClock } from '../../src/time.js'
import { waitUntil } from '../support/wait-until.js'

/** Late at night, when no brand writes to anybody. */
const NIGHT = '2026-03-02T15:30:00Z'
const THANKS = '感谢您第一次下单！有任何问题直接在这里问我。'

let trial: Trial | undefined
let home: string
afterEach(async () => {
  await trial?.close()
  await rm(home, { recursive: true, force: true })
})

async function brand(journeys: Readonly<Record<string, string>> = {}): Promise<string> {
  home = await mkdtemp(join(tmpdir(), 'siyu-try-test-'))
  await initCommand(
    home,
    { name: '我的店', timeZone: 'Asia/Shanghai', linkBase: '', locale: 'zh' },
    undefined,
    () => undefined,
  )
  for (const [id, text] of Object.entries(journeys)) await writeFile(join(home, 'journeys', `${id}.yaml`), text)
  return join(home, 'config/service.yaml')
}

const start = async (configFile: string, journey?: string) =>
  (trial = await startTrial({
    ...{ configFile, env: {}, log: quietLog, clock: fixedClock(NIGHT), folder: home },
    ...(journey !== undefined && { journey }),
  }))

const ORDERED = `id: thanks-later
name: 三天后
enter: { on: order_paid }
goal: { event: order_paid, within: 14d }
holdout: 90%
steps:
  - wait: 3d
  - send: { channel: wecom, content: thanks }
`
const SOONER = ORDERED.replace('thanks-later', 'sooner').replace('  - wait: 3d\n', '')
const REGISTERED = ORDERED.replace('thanks-later', 'other').replace('order_paid }', 'registered }')

describe('a trial of a brand', () => {
  it('without a journey shows what the example says, and goes on with what is done on the page', async () => {
    const { journey, config, configFile, ...play } = await start(await brand())
    expect(journey).toMatchObject({ id: 'first-journey', isExample: true })
    const facts: string[] = []
    const onFact = ({ text }: { text: { zh: string } }) => void facts.push(text.zh)
    const controller = new AbortController()
    expect(await play.first(controller.signal, onFact)).toBe('message')
    expect(facts).toEqual([
      '欢迎语：您好，我是我的店的导购，有什么想找的随时告诉我。',
      '测试客户 001 发生事件 order_paid',
      '进入旅程 first-journey',
      expect.stringContaining(`导购 001 发来：${THANKS}`),
    ])
    const ends = play.goOn(controller.signal, onFact)
    const page = new URL(trial!.pageUrl)
    await fetch(`${page.origin}/control/orders/add`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${page.searchParams.get('key')}` },
      body: JSON.stringify({ externalUserId: page.searchParams.get('customer'), amountMinor: 4_200 }),
    })
    const answers: string[] = []
    await waitUntil(
      async () => {
        answers.length = 0
        const write = process.stdout.write.bind(process.stdout)
        process.stdout.write = (text: string | Uint8Array) => answers.push(String(text)) > 0
        try {
          await personCommand({ profileId: (await play.profileId())! }, true, { config: configFile, env: {} })
        } finally {
          process.stdout.write = write
        }
        return answers.join('').includes('"amountMinor": 4200')
      },
      { what: 'the order of the page' },
    )
    controller.abort()
    await ends
    await trial!.close()
    expect(existsSync(dirname(configFile))).toBe(false)
    expect(config.sending).toEqual({ mode: 'allow_list', allowList: ['wmTestCustomer001'] })
  })

  it('of a journey of its own lets the days pass, and nobody is held out', async () => {
    const { journey, ...play } = await start(
      await brand({ 'thanks-later': ORDERED, other: REGISTERED, sooner: SOONER }),
      'thanks-later',
    )
    expect(journey).toMatchObject({ id: 'thanks-later', isExample: false })
    const at: Date[] = []
    const told: string[] = []
    const came = await play.first(new AbortController().signal, (fact) => {
      at.push(fact.at)
      told.push(fact.text.zh)
    })
    // What another journey sends at once is told as that, and is not it.
    expect(told.filter((text) => text.includes(THANKS))).toEqual([
      expect.stringContaining('（旅程 sooner）'),
      expect.not.stringContaining('（旅程'),
    ])
    expect(came).toBe('message')
    expect(at.at(-1)!.getTime() - at[0]!.getTime()).toBeGreaterThan(3 * 86_400_000)
  })

  it('of a journey that begins with a task ends when the guide has done it', async () => {
    const task = ORDERED.replace(/steps:[^]*/, 'steps:\n  - task: { title: Call, script: thanks, due: 2d }\n')
    const play = await start(await brand({ 'thanks-later': task }), 'thanks-later')
    expect(await play.first(new AbortController().signal, () => undefined)).toBe('task')
  })

  it('of a journey by which nobody hears of anything says so, and ends', async () => {
    const silent = ORDERED.replace(/steps:[^]*/, 'steps:\n  - wait: 1d\n')
    const config = await brand({ 'thanks-later': silent })
    const folder = process.cwd()
    const said: string[] = []
    const write = process.stdout.write.bind(process.stdout)
    process.stdout.write = (text: string | Uint8Array) => said.push(String(text)) > 0
    process.chdir(home)
    try {
      expect(await tryCommand({ config, once: true }, {}, new AbortController().signal)).toBe(false)
    } finally {
      process.chdir(folder)
      process.stdout.write = write
    }
    const text = said.join('')
    expect(text).toContain('✗ 三十天里没有收到消息，原因如下\n  这个旅程没有 send 或 task 步骤\n')
    expect(text).toMatch(/thanks-later +1 +实验组 +已结束 +走完/)
    // Its pages and files are gone with it.
    expect(text).not.toMatch(/127\.0\.0\.1|siyu-try-[^t]/)
  })

  it('names the journeys there are, and the problems of the files', async () => {
    const config = await brand({ 'thanks-later': ORDERED })
    await expect(start(config, 'thanks-latr')).rejects.toThrow('did you mean "thanks-later"?')
    await writeFile(join(home, 'journeys/thanks-later.yaml'), ORDERED.replace('content: thanks', 'content: thank'))
    await expect(start(config)).rejects.toThrow('there is no content "thank"')
  })
})
