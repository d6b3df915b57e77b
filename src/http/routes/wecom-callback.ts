import Router from '@koa/router'
import { z } from 'zod'
import { parseInput } from '../../parse.js'

const Query = z.object({
  msg_signature: z.string(),
  timestamp: z.string(),
  nonce: z.string(),
  echostr: z.string().optional(),
})
export type CallbackQuery = z.infer<typeof Query>

export type WecomCallbackDeps = {
  /** Checks the signature of the URL check; resolves to the text to answer with. */
  verify: (query: CallbackQuery) => string
  /** Reads, checks and stores the message; once it resolves the message survives a crash. */
  accept: (query: CallbackQuery, body: string) => Promise<void>
}

/** `/wecom/callback`: what the app's 接收消息 setting points at. Answers before any work is done. */
export function wecomCallbackRouter({ verify, accept }: WecomCallbackDeps): Router {
  const router = new Router({ prefix: '/wecom' })
  router.get('/callback', (ctx) => {
    ctx.type = 'text/plain'
    ctx.body = verify(parseInput(Query, ctx.query, 'Not a WeCom URL check'))
  })
  router.post('/callback', async (ctx) => {
    await accept(parseInput(Query, ctx.query, 'Not a WeCom callback'), ctx.request.rawBody ?? '')
    ctx.type = 'text/plain'
    ctx.body = 'success'
  })
  return router
}
