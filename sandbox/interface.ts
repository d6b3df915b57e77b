import type { Log } from '../src/log.js'
import type { ClockMode } from './clock.js'
import type { FaultInput } from './http/core/faults.js'
import type { Handler } from './http/core/handle.js'
import type { PayAccount } from './http/pay/keys.js'
import type { WeixinAccounts } from './http/weixin/people.js'
import type { CallbackSecrets, SandboxApp } from './identity.js'
import type { Scenario } from './scenario.js'
import type { MessageLink } from './world/messages.js'
import type { Click, Purchase } from './world/shop.js'

export type SandboxOptions = {
  /** SQLite state file, or `:memory:`. An existing file goes on where it stopped. */
  file: string
  /** Default 0: any free port of 127.0.0.1. */
  port?: number
  /** Decides every draw, id and secret. */
  seed: number
  /** Where the clock stands when the state is new. */
  startAt: Date
  /** With all but `step` the world plays by itself. */
  clock: ClockMode
  /** Where the first app receives callbacks; without a URL nobody is called back. */
  callbackUrl?: string
  /** Of the first app; default: derived from the seed. */
  callback?: CallbackSecrets
  /**
   * Callbacks on their way at once; those of one customer stay in order. Default: 1 with a stepped clock, so that every
   * run is the same, else 16. A stepped clock with more of them plays a slice of time before it sends its callbacks.
   */
  callbackQueues?: number
  /** How long such a slice is; default 1 s. The receiver meets a clock that stands at its end. */
  callbackSliceMs?: number
  /**
   * Connections to one receiver; default: one for each queue. With fewer, requests to a plain `http:` URL follow each other
   * on a connection without waiting for the answers: much cheaper on both sides, for receivers that can.
   */
  callbackConnections?: number
  /**
   * With several queues: an advance plays on while the callbacks of the slice before are on their way, and ends when all but
   * those of its last slice are acknowledged. An advance that plays nothing waits for all. Default false.
   */
  callbacksBeside?: boolean
  scenario: Scenario
  /** Rates, calls at once, bans and silent drops; default true. The customers' quota always holds. */
  limits?: boolean
  log?: Log
}

/** A message that has reached a customer. */
export type LoggedMessage = {
  messageId: string
  kind: 'mass' | 'group' | 'welcome'
  /** The mass message it came from; for a welcome its code. */
  msgid: string
  senderUserId: string
  externalUserId: string
  /** `contentHashOf(text, link?.url)`. */
  contentHash: string
  text: string
  link?: MessageLink
  sentAt: Date
  /** When the app made the request. */
  createdAt: Date
}

export type SandboxCounts = {
  /** That reached a customer. */
  messages: number
  /** Cards that reached a guide; other app messages are in `appMessages`. */
  cards: number
  appMessages: number
  /** App messages dropped in silence, above 30 a minute or 1,000 an hour to one member. */
  droppedAppMessages: number
  callbacks: { delivered: number; waiting: number; lost: number }
  /** Since this process started. */
  apiCalls: number
  /** Tasks that members have sent. */
  confirmedTasks: number
  refusedByQuota: number
  notAContact: number
  reads: number
  clicks: number
  purchases: number
  repliesByKind: { interested: number; stop: number; other: number }
  /** By the key's part before a colon. */
  pressesByKey: Record<string, number>
}

export interface Sandbox {
  readonly url: string
  /** For `Authorization: Bearer …` on `/control/*`. */
  readonly controlKey: string
  readonly corpId: string
  readonly apps: readonly SandboxApp[]
  /** The first of them. */
  readonly app: SandboxApp
  readonly contactSyncSecret: string
  /** The merchant's keys at WeChat Pay; made when first asked for. */
  pay(): PayAccount
  /** The official account and the mini program. */
  weixin(): WeixinAccounts
  now(): Date
  /**
   * Plays everything the world does up to and including `to`, in time order, and sends the callbacks, each after the
   * acknowledgement of the one before. An instant that has passed plays nothing, but sends what still waits.
   *
   * @throws {UpstreamError} when a receiver does not acknowledge after the last attempt; calling again goes on
   */
  advanceTo(to: Date): Promise<void>
  /** When the world does something next, if anything is scheduled. */
  nextAt(): Date | undefined
  /** @param appName - default: the first app; `contact_sync` for the contact-sync assistant */
  setCallbackUrl(url: string, appName?: string): void
  /** The platform's URL check. @returns what is wrong, `undefined` when the receiver answered as it must. */
  verifyCallbackUrl(appName?: string): Promise<string | undefined>
  /** Every message that reached a customer, in the order of arrival, after the first `skip`. */
  log(skip?: number): readonly LoggedMessage[]
  counts(): SandboxCounts
  /** What customers bought, in the order of time, after the one with `seq` `after` (default 0); at most `limit`, default 1,000. */
  purchases(after?: number, limit?: number): readonly Purchase[]
  /** Links that customers clicked, likewise. */
  clicks(after?: number, limit?: number): readonly Click[]
  /** How much has happened, and a hash over all of it: the same for runs in which the same happened at the same instants. */
  eventLog(): { events: number; hash: string }
  fault(fault: FaultInput): void
  clearFaults(): void
  /** Ends every token now. */
  expireTokens(): void
  /** Answers one request as the port does, without a socket; `undefined` when the connection is dropped instead. */
  handle: Handler['handle']
  /** Waits on the sandbox's clock; a stepped clock waits real time. Ends early, without an error, when the signal says so. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** May be called twice. */
  close(): Promise<void>
}
