import { z } from 'zod'
import { parseInput } from '../../src/parse.js'
import { HOUR_MS } from '../../src/time.js'
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.js'
import { parseScenario } from '../../sandbox/scenario.js'
import { answerParent, costs } from './child.js'

/** The sandbox in a process of its own, on a stepped clock. */

const Start = z.strictObject({
  do: z.literal('start'),
  file: z.string(),
  seed: z.int(),
  startAt: z.coerce.date(),
  members: z.int(),
  customers: z.int(),
})
const Question = z.discriminatedUnion('do', [
  Start,
  z.strictObject({ do: z.literal('callback'), url: z.string() }),
  z.strictObject({ do: z.literal('advance'), to: z.coerce.date() }),
  z.strictObject({ do: z.literal('report') }),
])

let sandbox: Sandbox | undefined

async function start({ file, seed, startAt, members, customers }: z.infer<typeof Start>): Promise<unknown> {
  sandbox = await startSandbox({
    file,
    seed,
    startAt,
    clock: 'step',
    scenario: parseScenario({
      corpTags: [
        { name: '客户等级', tags: [{ name: '一般' }, { name: '重要' }, { name: '核心' }] },
        { name: '喜好', tags: [{ name: '护肤' }, { name: '彩妆' }, { name: '香水' }, { name: '洗护' }] },
      ],
      habits: { readRatio: 0.5, replyRatio: 0.05, clickRatio: 0.15, buyRatio: 0.01, deleteRatio: 0.001 },
      population: {
        members,
        customers,
        departments: Math.ceil(members / 20),
        ownSendsPerMonth: 0.5,
        arriving: { ratio: 0.3, overDays: 30, halfRatio: 0.1 },
        // 30 orders a year; what members and customers do besides makes some two callbacks a customer and month.
        perYear: {
          orders: 30,
          edits: 21,
          groupJoins: 2,
          groupLeaves: 1.5,
          adds: 0.2,
          deletes: 0.3,
          deletedByMember: 0.1,
        },
      },
    }),
    callbackQueues: 64,
    callbackConnections: 4,
    callbackSliceMs: HOUR_MS,
    callbacksBeside: true,
  })
  const { url, corpId, app } = sandbox
  const { agentId, secret, callback } = app
  return { url, corpId, agentId, secret, ...callback, ...costs() }
}

async function answer(message: unknown): Promise<unknown> {
  const question = parseInput(Question, message)
  if (question.do === 'start') return start(question)
  if (sandbox === undefined) throw new Error('not started')
  if (question.do === 'callback') sandbox.setCallbackUrl(question.url)
  else if (question.do === 'advance') await sandbox.advanceTo(question.to)
  else {
    const { messages, callbacks, apiCalls, purchases, clicks, reads } = sandbox.counts()
    return {
      ...sandbox.eventLog(),
      messages,
      callbacks: callbacks.delivered,
      apiCalls,
      purchases,
      clicks,
      reads,
      ...costs(),
    }
  }
  return {}
}

answerParent(answer, async () => sandbox?.close())
