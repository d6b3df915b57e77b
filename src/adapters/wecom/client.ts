import { acquisitionCalls } from './calls/acquisition.js'
import { agentCalls } from './calls/agent.js'
import { albumCalls } from './calls/album.js'
import { appChatCalls } from './calls/app-chat.js'
import { appMessageCalls } from './calls/app-messages.js'
import { archiveCalls } from './calls/archive.js'
import { type Calls, createCalls } from './calls/calls.js'
import { contactCalls } from './calls/contacts.js'
import { groupCalls } from './calls/groups.js'
import { idCalls } from './calls/ids.js'
import { interceptCalls } from './calls/intercept.js'
import { kfCalls } from './calls/kf.js'
import { massCalls } from './calls/mass.js'
import { mediaCalls } from './calls/media.js'
import { memberCalls } from './calls/members.js'
import { momentCalls } from './calls/moments.js'
import { paymentCalls } from './calls/payments.js'
import { createTickets, signInCalls, type TicketSources } from './calls/sign-in.js'
import { statisticsCalls } from './calls/statistics.js'
import { strategyCalls } from './calls/strategies.js'
import { tagCalls } from './calls/tags.js'
import { transferCalls } from './calls/transfer.js'
import { createTransport, type Priority, type WecomOptions } from './transport/transport.js'
import { contactWayCalls, joinWayCalls } from './calls/ways.js'
import { webhookCalls } from './calls/webhook.js'
import { welcomeCalls } from './calls/welcome.js'

export type { WecomOptions } from './transport/transport.js'

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
