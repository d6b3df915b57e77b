import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { sandboxAdapter } from '../../../sandbox/in-process.js'
import { type Sandbox, startSandbox } from '../../../sandbox/sandbox.js'
import { parseScenario } from '../../../sandbox/scenario.js'
import { VirtualTime } from '../../../sandbox/virtual-time.js'
import { createWecomClient, type WecomClient } from '../../../src/adapters/wecom/client.js'
import { createInProcessQuota } from '../../../src/adapters/wecom/transport/quota-in-process.js'
import { UnknownOutcomeError } from '../../../src/errors.js'
import { quietLog } from '../../../src/log.js'
import { inParallel } from '../../../src/services/runtime/in-parallel.js'
import { MINUTE_MS, SECOND_MS } from '../../../src/time.js'

const START = new Date('2026-06-01T02:00:00Z')
const HIDDEN_WIDTH = 3

let time: VirtualTime
let sandbox: Sandbox
let client: WecomClient
const clients: WecomClient[] = []

/** The client as it runs in production, but for time and sockets: both are the sandbox's. */
function open(quota = createInProcessQuota(time)): WecomClient {
  const { corpId, app } = sandbox
  const opened = createWecomClient({
    ...{ corpId, agentId: app.agentId, secret: app.secret, clock: time, log: quietLog, quota },
    pause: time.sleep,
    timeoutSignal: time.timeoutSignal,
    adapter: sandboxAdapter(sandbox),
  })
  clients.push(opened)
  return opened
}

beforeEach(async () => {
  time = new VirtualTime(START.getTime())
  const scenario = parseScenario({
    population: { members: 20, customers: 600, perYear: { orders: 0, edits: 0, adds: 0, deletes: 0 } },
    corpTags: [{ name: '客户等级', tags: [{ name: '一般' }, { name: '重要' }] }],
    latency: { p50Ms: 200, p99Ms: 1_000 },
    limits: { defaultLanes: HIDDEN_WIDTH },
  })
  sandbox = await startSandbox({ file: ':memory:', seed: 3, startAt: START, clock: time, scenario })
  client = open()
})

afterEach(async () => {
  jest.useRealTimers()
  for (const opened of clients.splice(0)) opened.close()
  await sandbox.close()
})

const sinceStartMs = () => time.now().getTime() - START.getTime()

describe('the client on a clock that jumps', () => {
  it('gives up after the time-outs it would have waited for, without a real timer', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
    sandbox.fault({ kind: 'timeout', path: '/cgi-bin/externalcontact/get_follow_user_list', times: 3 })
    await time.run(async () => {
      await expect(client.contacts.followUsers()).rejects.toMatchObject({ upstreamCode: 'no_answer', retryable: true })
    })
    expect(sinceStartMs()).toBeGreaterThanOrEqual(3 * 10 * SECOND_MS + 2_500)
    expect(sinceStartMs()).toBeLessThan(MINUTE_MS)
    expect(jest.getTimerCount()).toBe(0)
  })

  it('finds the hidden width and reads every customer, with three refusals at most', async () => {
    const seen = new Set<string>()
    await time.run(async () => {
      await inParallel(await client.contacts.followUsers(), 10, async (userId) => {
        for await (const rows of client.as('sync').contacts.rows([userId]))
          for (const { external_contact, follow_info } of rows)
            seen.add(`${follow_info.userid}/${external_contact.external_userid}`)
        for (const id of await client.contacts.list(userId)) seen.add(`${userId}/${id}`)
      })
    })
    expect(new Set([...seen].map((id) => id.split('/')[1])).size).toBe(600)
    const { width, tooParallel } = client.stats()['externalcontact/batch/get_by_user']!
    expect(width).toBe(HIDDEN_WIDTH)
    expect(tooParallel).toBeLessThanOrEqual(3)
  })

  it('marks tags from two clients at once without a refusal, as they share what runs at a time', async () => {
    const quota = createInProcessQuota(time)
    const both = [open(quota), open(quota)]
    await time.run(async () => {
      const [group] = await client.tags.list()
      const [userId] = await client.contacts.followUsers()
      const ids = await client.contacts.list(userId!)
      await Promise.all(
        ids.map((id, i) =>
          both[i % 2]!.tags.mark(userId!, id, { add: [group!.tag[0]!.id], remove: [group!.tag[1]!.id] }),
        ),
      )
    })
    for (const each of both) expect(Object.keys(each.stats()['externalcontact/mark_tag']!.codes)).toEqual(['0'])
  })

  it('repeats a lost mark, and leaves a lost mass message open', async () => {
    sandbox.fault({ kind: 'lost_reply', path: '/cgi-bin/externalcontact/mark_tag' })
    sandbox.fault({ kind: 'lost_reply', path: '/cgi-bin/externalcontact/add_msg_template' })
    await time.run(async () => {
      const [group] = await client.tags.list()
      const [userId] = await client.contacts.followUsers()
      const [id] = await client.contacts.list(userId!)
      await client.tags.mark(userId!, id!, { add: [group!.tag[0]!.id] })
      const detail = await client.contacts.get(id!)
      const follow = detail!.follow_user.find((f) => f.userid === userId)
      expect(follow!.tags.map((tag) => tag.tag_id)).toContain(group!.tag[0]!.id)
      const message = { sender: userId!, externalUserIds: [id!], text: '新品', attachments: [] }
      await expect(client.mass.create(message)).rejects.toBeInstanceOf(UnknownOutcomeError)
    })
    expect(client.stats()['externalcontact/add_msg_template']).toMatchObject({ calls: 1, codes: { lost: 1 } })
  })
})
