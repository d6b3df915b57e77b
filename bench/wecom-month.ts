import { join } from 'node:path'
import { z } from 'zod'
import { createWecomClient, type WecomClient } from '../src/adapters/wecom/client.js'
import { WecomError } from '../src/adapters/wecom/transport/error-codes.js'
import { quietLog } from '../src/log.js'
import { intOf } from '../src/random.js'
import { DAY_MS, HOUR_MS, ManualClock, SECOND_MS, toWallTime } from '../src/time.js'
import { type BenchContext, type Benchmark, compare, type Scale } from './measure.js'
import { type Child, Costs, costs, startChild } from './month/child.js'
import type { CaseResult } from './result.js'

type Plan = {
  members: number
  customers: number
  days: number
  rounds: number
  /** Of the company that is only started. */
  crowd: number
}
const PLANS: Record<Scale, Plan> = {
  full: { members: 200, customers: 100_000, days: 30, rounds: 2, crowd: 1_000_000 },
  quick: { members: 40, customers: 4_000, days: 3, rounds: 2, crowd: 20_000 },
  tiny: { members: 5, customers: 100, days: 1, rounds: 2, crowd: 100 },
}

const START = new Date('2026-06-01T00:00:00Z') // 08:00 in Shanghai
const TIME_ZONE = 'Asia/Shanghai'
const SEED = 1
/** Half as many garbage collections of what lives shortly, for some 100 MB. */
const ROOM = ['--max-semi-space-size=64']
/** Calls on their way at once. */
const CALLS_AT_ONCE = 12
/** A wave of mass messages every so many days, one per member. */
const WAVE_DAYS = 6
/** All contacts are read again in so many days. */
const CONTACT_DAYS = 10
/** Newcomers of an hour that the app gets to. */
const NEWCOMERS = 50

/** A month of a company on the sandbox's stepped clock: sandbox, client and callback receiver in a process each. */
export const wecomMonth: Benchmark = {
  name: 'wecom-month',
  title: { zh: '企业微信一个月', en: 'A month of WeCom' },
  unit: { zh: '个月', en: 'month' },
  baseline: '',
  run: async ({ scale, dir, note }: BenchContext): Promise<CaseResult[]> => {
    const plan = PLANS[scale]
    const hashes: string[] = []
    let last: Record<string, number> = {}
    const result = await compare(
      {
        name: `${plan.customers} customers, ${plan.members} members, ${plan.days} days`,
        items: 1,
        warmups: 0,
        rounds: plan.rounds,
        product: async (round) => {
          const { hash, figures } = await playMonth(plan, join(dir, `company-${round}.sqlite`), (day) =>
            note(`day ${day} of ${plan.days}`),
          )
          hashes.push(hash)
          last = figures
        },
        figures: () => Promise.resolve({ ...last, sameEventLogAsFirst: hashes.at(-1) === hashes[0] ? 1 : 0 }),
      },
      note,
    )
    return [result, await measureStart(plan, dir, note)]
  },
}

const Company = Costs.extend({
  url: z.string(),
  corpId: z.string(),
  agentId: z.number(),
  secret: z.string(),
  token: z.string(),
  encodingAesKey: z.string(),
})
const Report = Costs.extend({
  hash: z.string(),
  events: z.number(),
  messages: z.number(),
  callbacks: z.number(),
  apiCalls: z.number(),
  purchases: z.number(),
  clicks: z.number(),
  reads: z.number(),
})
const Received = Costs.extend({ callbacks: z.number(), refused: z.number() })
const Nothing = z.strictObject({})

/** A new company of many customers until it answers; its memory then, and after a day in which nobody called it. */
async function measureStart({ members, crowd }: Plan, dir: string, note: BenchContext['note']): Promise<CaseResult> {
  const sandbox = startChild('company', ROOM)
  const question = { do: 'start', file: join(dir, 'crowd.sqlite'), seed: SEED, startAt: START.toISOString() }
  let atStart = { cpuMs: 0, rssMiB: 0 }
  try {
    return await compare(
      {
        name: `${crowd} customers, start`,
        items: crowd,
        warmups: 0,
        rounds: 1,
        product: async () => {
          atStart = await sandbox.ask({ ...question, members, customers: crowd }, Company)
        },
        figures: async () => {
          await sandbox.ask({ do: 'advance', to: new Date(START.getTime() + DAY_MS).toISOString() }, Nothing)
          const later = await sandbox.ask({ do: 'report' }, Report)
          return {
            sandboxCpuMs: Math.round(atStart.cpuMs),
            sandboxRssMiB: atStart.rssMiB,
            sandboxRssMiBADayLater: later.rssMiB,
          }
        },
      },
      note,
    )
  } finally {
    await sandbox.stop()
  }
}

async function playMonth(
  plan: Plan,
  file: string,
  onDay: (day: number) => void,
): Promise<{ hash: string; figures: Record<string, number> }> {
  const before = costs().cpuMs
  const sandbox = startChild('company', ROOM)
  const receiver = startChild('receiver', ROOM)
  const { members, customers } = plan
  try {
    const company = await sandbox.ask(
      { do: 'start', file, seed: SEED, startAt: START.toISOString(), members, customers },
      Company,
    )
    const { corpId, agentId, secret, token, encodingAesKey, url } = company
    const callback = await receiver.ask({ do: 'start', token, encodingAesKey, corpId }, z.object({ url: z.string() }))
    await sandbox.ask({ do: 'callback', url: callback.url }, Nothing)
    const clock = new ManualClock(START)
    const client = createWecomClient({ baseUrl: url, corpId, agentId, secret, clock, log: quietLog })
    try {
      const app = new App(client, receiver)
      await app.begin()
      for (let hour = 1; hour <= plan.days * 24; hour++) {
        const to = new Date(START.getTime() + hour * HOUR_MS)
        await sandbox.ask({ do: 'advance', to: to.toISOString() }, Nothing)
        clock.set(to)
        await app.work(to)
        if (hour % 24 === 0) onDay(hour / 24)
      }
      const end = new Date(START.getTime() + plan.days * DAY_MS)
      await sandbox.ask({ do: 'advance', to: end.toISOString() }, Nothing) // until the last callback is acknowledged
    } finally {
      client.close()
    }
    const { hash, ...world } = await sandbox.ask({ do: 'report' }, Report)
    const received = await receiver.ask({ do: 'report' }, Received)
    if (received.callbacks !== world.callbacks || received.refused > 0)
      throw new Error(`${received.callbacks} callbacks were understood, ${received.refused} not, of ${world.callbacks}`)
    const { cpuMs: sandboxCpuMs, rssMiB: sandboxRssMiB, ...counts } = world
    const figures = {
      ...counts,
      sandboxStartCpuMs: Math.round(company.cpuMs),
      sandboxCpuMs: Math.round(sandboxCpuMs),
      sandboxRssMiB,
      clientCpuMs: Math.round(costs().cpuMs - before),
      receiverCpuMs: Math.round(received.cpuMs),
    }
    return { hash, figures }
  } finally {
    await Promise.all([sandbox.stop(), receiver.stop()])
  }
}

/** What an app of the company does, hour by hour, through our client. */
class App {
  private members: string[] = []
  private tagIds: string[] = []
  /** The tasks of the last wave. */
  private wave: { userId: string; msgId: string; state: 'waiting' | 'sent' | 'read' }[] = []
  private waves = 0

  constructor(
    private readonly client: WecomClient,
    private readonly receiver: Child,
  ) {}

  async begin(): Promise<void> {
    this.members = await this.client.contacts.followUsers()
    this.tagIds = (await this.client.tags.list()).flatMap((group) => group.tag.map((tag) => tag.id))
  }

  async work(now: Date): Promise<void> {
    const { hour } = toWallTime(now, TIME_ZONE)
    const day = Math.floor((now.getTime() - START.getTime()) / DAY_MS)
    if (hour >= 9 && hour < 21) await this.welcomeNewcomers(now)
    if (hour === 9) await this.sendCards(day)
    if (hour === 10 && day % WAVE_DAYS === 0) await this.sendWave()
    if (hour === 12 || hour === 18) await this.readTasks()
    if (hour === 19) await this.readResults()
    if (hour === 20) await this.readContacts(day)
  }

  /** Reads those who came until an hour ago (callbacks of this hour are still on their way), and tags them. */
  private async welcomeNewcomers(now: Date): Promise<void> {
    const untilS = (now.getTime() - HOUR_MS) / SECOND_MS
    const added = await this.receiver.ask({ do: 'added', untilS }, z.array(z.tuple([z.string(), z.string()])))
    await inParallel(added.slice(0, NEWCOMERS), async ([userId, externalUserId]) => {
      if ((await this.client.contacts.get(externalUserId)) === undefined) return
      const tag = this.tagIds[intOf(this.tagIds.length, 'tag', externalUserId)]!
      // He may have gone in the meantime.
      await ignoring(
        ['give_up_recipient', 'give_up_request'],
        this.client.tags.mark(userId, externalUserId, { add: [tag] }),
      )
    })
  }

  private async sendCards(day: number): Promise<void> {
    await inParallel(this.members, async (userId) => {
      await this.client.messages.send({
        toUsers: [userId],
        content: {
          msgtype: 'template_card',
          template_card: {
            card_type: 'button_interaction',
            main_title: { title: '今日跟进' },
            task_id: `day-${day}-${userId}`,
            button_list: [{ text: '完成', key: `done:${day}` }],
          },
        },
      })
    })
  }

  /** To every member, for all her customers, with a link of its own. */
  private async sendWave(): Promise<void> {
    const wave = this.waves++
    this.wave = []
    await inParallel(this.members, async (userId) => {
      const externalUserIds = await this.client.contacts.list(userId)
      if (externalUserIds.length === 0) return
      const url = `https://shop.example/?wave=${wave}&by=${userId}`
      const { msgId } = await this.client.mass.create({
        sender: userId,
        externalUserIds,
        allowSelect: true,
        text: `本周新品 ${wave}`,
        attachments: [{ msgtype: 'link', link: { title: '新品', url } }],
      })
      this.wave.push({ userId, msgId, state: 'waiting' })
    })
    this.wave.sort((a, b) => (a.userId < b.userId ? -1 : 1))
  }

  /** Of those that were not sent when they were last looked at. */
  private async readTasks(): Promise<void> {
    const waiting = this.wave.filter(({ state }) => state === 'waiting')
    await inParallel(waiting, async (task) => {
      for await (const page of this.client.mass.tasks(task.msgId))
        if (page.some(({ status }) => status !== 0)) task.state = 'sent'
    })
  }

  /** Once, after the member has sent. */
  private async readResults(): Promise<void> {
    const sent = this.wave.filter(({ state }) => state === 'sent')
    await inParallel(sent, async (task) => {
      for await (const page of this.client.mass.sends(task.msgId, task.userId)) void page.length
      task.state = 'read'
    })
  }

  /** A part of the members a day, with all their customers. */
  private async readContacts(day: number): Promise<void> {
    const some = this.members.filter((_, i) => i % CONTACT_DAYS === day % CONTACT_DAYS)
    await inParallel(some, async (userId) => {
      for await (const page of this.client.contacts.rows([userId])) void page.length
    })
  }
}

async function ignoring(meanings: readonly string[], work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (err) {
    if (!(err instanceof WecomError) || !meanings.includes(err.meaning)) throw err
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  const caller = async () => {
    while (next < items.length) await work(items[next++]!)
  }
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, caller))
}
