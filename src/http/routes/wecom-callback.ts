import { z } from 'zod'
import { parseInput } from '../../parse.js'
import type { RawRoute } from '../raw-routes.js'

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
  /** Checks and stores the message; once it resolves the message survives a crash. */
  accept: (query: CallbackQuery, body: string) => Promise<void>
}

/**
 * `/wecom/callback`: what the app's 接收消息 setting points at. Answers before any work is done; an answer other than 200
 * says that nothing was stored.
 */
export function wecomCallbackRoutes({ verify, accept }: WecomCallbackDeps): RawRoute[] {
  const path = '/wecom/callback'
  return [
    { method: 'GET', path, handle: (query) => verify(parseInput(Query, query, 'Not a WeCom URL check')) },
    {
      method: 'POST',
      path,
      handle: async (query, body) => {
        await accept(parseInput(Query, query, 'Not a WeCom callback'), body)
        return 'success'
      },
    },
  ]
}
