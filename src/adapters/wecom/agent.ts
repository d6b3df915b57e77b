import { z } from 'zod'
import type { Calls } from './calls.js'
import { List, Text } from './wire.js'

const AgentReply = z.object({
  agentid: z.number(),
  name: Text,
  allow_userinfos: z.object({ user: List(z.object({ userid: z.string() })) }).optional(),
  allow_partys: z.object({ partyid: List(z.number()) }).optional(),
})

/** The app itself. */
export function agentCalls(calls: Calls, agentId: number) {
  return {
    /** Its name and visible range (page 90227). */
    detail: () => calls.get('agent/get', AgentReply, { agentid: agentId }),
  }
}
