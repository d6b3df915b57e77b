import { acquisitionCalls } from './acquisition.js'
import { agentCalls } from './agent.js'
import { albumCalls } from './album.js'
import { appChatCalls } from './app-chat.js'
import { appMessageCalls } from './app-messages.js'
import { archiveCalls } from './archive.js'
import { type Calls, createCalls } from './calls.js'
import { contactCalls } from './contacts.js'
import { groupCalls } from './groups.js'
import { idCalls } from './ids.js'
import { interceptCalls } from './intercept.js'
import { kfCalls } from './kf.js'
import { massCalls } from './mass.js'
import { mediaCalls } from './media.js'
import { memberCalls } from './members.js'
import { momentCalls } from './moments.js'
import { paymentCalls } from './payments.js'
import { createTickets, signInCalls, type TicketSources } from './sign-in.js'
import { statisticsCalls } from './statistics.js'
import { strategyCalls } from './strategies.js'
import { tagCalls } from './tags.js'
import { transferCalls } from './transfer.js'
import { createTransport, type Priority, type WecomOptions } from './transport.js'
import { contactWayCalls, joinWayCalls } from './ways.js'
import { webhookCalls } from './webhook.js'
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
  const tickets = createTickets(options.clock, createCalls(transport))
  const queuedAs = (priority?: Priority) => areas(createCalls(transport, priority), options, tickets)
  return {
    agentId,
    ...queuedAs(),
    /** The same calls, queued with another priority unless a call has one of its own. Default `interactive`. */
    as: (priority: Priority) => queuedAs(priority),
    /** Calls, waits and codes by API, since this client was created. */
    stats: () => transport.stats(),
    /** May be called twice. */
    close: () => transport.close(),
  }
}

function areas(calls: Calls, { agentId, clock }: WecomOptions, tickets: TicketSources) {
  return {
    agent: agentCalls(calls, agentId),
    contacts: contactCalls(calls),
    tags: tagCalls(calls),
    strategies: strategyCalls(calls),
    groups: groupCalls(calls),
    contactWays: contactWayCalls(calls),
    joinWays: joinWayCalls(calls),
    acquisition: acquisitionCalls(calls),
    ids: idCalls(calls),
    members: memberCalls(calls),
    transfer: transferCalls(calls),
    statistics: statisticsCalls(calls),
    signIn: signInCalls(calls, clock, tickets),
    mass: massCalls(calls),
    welcome: welcomeCalls(calls),
    messages: appMessageCalls(calls, agentId),
    appChat: appChatCalls(calls),
    media: mediaCalls(calls),
    moments: momentCalls(calls),
    album: albumCalls(calls),
    intercept: interceptCalls(calls),
    archive: archiveCalls(calls),
    kf: kfCalls(calls),
    payments: paymentCalls(calls),
    webhook: webhookCalls(calls),
  }
}
