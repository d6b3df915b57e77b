import { appMessageCalls } from './app-messages.js'
import { agentCalls } from './agent.js'
import { createCalls } from './calls.js'
import { contactCalls } from './contacts.js'
import { massCalls } from './mass.js'
import { mediaCalls } from './media.js'
import { memberCalls } from './members.js'
import { tagCalls } from './tags.js'
import { createTransport, type Priority, type WecomOptions, type WecomTransport } from './transport.js'
import { welcomeCalls } from './welcome.js'

export type { WecomOptions } from './transport.js'

/**
 * The calls of one app of one company, by area. Reads are repeated by themselves, calls with an effect never are. Every
 * call throws {WecomError} when refused, {UpstreamError} when not reached, {UnknownOutcomeError} when it has an effect and
 * lost its answer.
 */
export type WecomClient = ReturnType<typeof createWecomClient>

export function createWecomClient(options: WecomOptions) {
  const { agentId } = options
  const transport = createTransport(options)
  return {
    agentId,
    ...areas(transport, agentId),
    /** The same calls, queued with another priority unless a call has one of its own. Default `interactive`. */
    as: (priority: Priority) => areas(transport, agentId, priority),
    /** May be called twice. */
    close: () => transport.close(),
  }
}

function areas(transport: WecomTransport, agentId: number, priority?: Priority) {
  const calls = createCalls(transport, priority)
  return {
    agent: agentCalls(calls, agentId),
    contacts: contactCalls(calls),
    tags: tagCalls(calls),
    members: memberCalls(calls),
    mass: massCalls(calls),
    welcome: welcomeCalls(calls),
    messages: appMessageCalls(calls, agentId),
    media: mediaCalls(calls),
  }
}
