import { createHmac } from 'node:crypto'
import Router from '@koa/router'
import { z } from 'zod'
import { parseInput } from '../parse.js'

/** Where a service shows that it has the key which it told the commands of this machine. */
export const PROOF_PATH = '/service/proof'

const Query = z.object({ challenge: z.string().regex(/^[0-9a-f]{64}$/) })

/** What only who has the key can answer to a challenge; it tells nothing of the key. */
export function proofOf(localKey: string, challenge: string): string {
  return createHmac('sha256', localKey).update(`siyu service ${challenge}`).digest('hex')
}

export function proofRoute(localKey: string): Router {
  const router = new Router()
  router.get(PROOF_PATH, (ctx) => {
    const { challenge } = parseInput(Query, ctx.query, 'Challenge')
    ctx.body = proofOf(localKey, challenge)
  })
  return router
}
