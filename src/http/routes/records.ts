import Router from '@koa/router'
import { z } from 'zod'
import { said } from '../../said.js'
import { RecordEvent, SourceRecord } from '../../domain/events/record.js'
import { InvalidInputError, type Problem } from '../../errors.js'
import { parseInput, toProblems } from '../../parse.js'

export type RecordsDeps = {
  /** Resolves once the records survive a power cut. Which of them were known before is found out later. */
  accept: (records: readonly SourceRecord[], key: string | undefined) => Promise<{ batchId: string }>
  /** Why a well-formed record cannot be taken: nobody could be found by it, or it says what only we may say. */
  findProblem: (record: SourceRecord) => Problem | undefined
}

/** Over HTTP an instant is ISO 8601 with its zone, or milliseconds since the epoch. */
const error = 'must be a time with its zone, e.g. 2026-01-31T09:00:00+08:00, or milliseconds since 1970'
const Instant = z
  .union([z.iso.datetime({ offset: true, error }), z.int({ error }).min(0, error).max(8.64e15, error)], { error })
  .transform((at) => new Date(at))

const RecordBody = SourceRecord.extend({
  observedAt: Instant,
  events: z
    .array(RecordEvent.extend({ occurredAt: Instant }))
    .max(1000)
    .default([]),
})

/** The records are parsed one by one: a bad one must not keep out the others. */
const PostRecordsBody = z.strictObject({
  records: z.array(z.unknown()).min(1).max(1000),
  key: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe(said('同一个键再来一次是同一批，只收一次', 'the same key again is the same batch, and taken once')),
})

/** `POST /v1/records`: takes the good records of a batch and lists the bad ones. */
export function recordsRouter({ accept, findProblem }: RecordsDeps): Router {
  const router = new Router()
  router.post('/v1/records', async (ctx) => {
    const { records, key } = parseInput(PostRecordsBody, ctx.request.body, 'Invalid request body')
    const good: SourceRecord[] = []
    const rejected: { index: number; problems: Problem[] }[] = []
    for (const [index, record] of records.entries()) {
      const result = RecordBody.safeParse(record)
      const problem = result.success ? findProblem(result.data) : undefined
      if (!result.success) rejected.push({ index, problems: toProblems(result.error, record) })
      else if (problem !== undefined) rejected.push({ index, problems: [problem] })
      else good.push(result.data)
    }
    if (good.length === 0) {
      const problems = rejected.flatMap(({ index, problems }) => problems.map((p) => withPrefix(p, `records.${index}`)))
      throw new InvalidInputError(said('没有一条记录能用', 'None of the records can be used'), problems)
    }
    const { batchId } = await accept(good, key)
    ctx.status = 202
    ctx.body = { batchId, accepted: good.length, rejected }
  })
  return router
}

function withPrefix(problem: Problem, prefix: string): Problem {
  return { ...problem, path: problem.path === '' ? prefix : `${prefix}.${problem.path}` }
}
