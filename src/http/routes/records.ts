import Router from '@koa/router'
import { z } from 'zod'
import { RECORD_BOUNDS } from '../../bounds.js'
import { parseInput } from '../../parse.js'
import { said } from '../../said.js'
import type { Taken } from '../../services/ingest/take-records.js'

export type RecordsDeps = {
  /** Resolves once the good records survive a power cut. Which of them were known before is found out later. */
  take: (records: readonly unknown[], key: string | undefined) => Promise<Taken>
}

/** The records are read one by one: a bad one must not keep out the others. */
const PostRecordsBody = z.strictObject({
  records: z.array(z.unknown()).min(1).max(RECORD_BOUNDS.records),
  key: z
    .string()
    .min(1)
    .max(200)
    .refine((key) => !/\p{Cc}/u.test(key), said('不能含有控制字符', 'must not hold control characters'))
    .optional()
    .describe(said('同一个键再来一次是同一批，只收一次', 'the same key again is the same batch, and taken once')),
})

/** `POST /v1/records`: takes the good records of a batch and lists the bad ones. */
export function recordsRouter({ take }: RecordsDeps): Router {
  const router = new Router()
  router.post('/v1/records', async (ctx) => {
    const { records, key } = parseInput(PostRecordsBody, ctx.request.body, 'Invalid request body')
    ctx.body = await take(records, key)
    ctx.status = 202
  })
  return router
}
