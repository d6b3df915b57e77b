import { setTimeout as sleep } from 'node:timers/promises'
import type { WecomClient } from '../client.js'
import { WecomError } from '../transport/error-codes.js'
import { MASS_MESSAGE_MAX_RECIPIENTS } from '../transport/limits.js'
import type { Attachment, GroupMessageSend } from '../calls/mass.js'
import { clipBytes } from '../../../domain/content/clip.js'
import { TEXT_MAX_BYTES } from '../../../domain/content/content.js'
import { traitsOf } from '../../../domain/touches/channels.js'
import { UpstreamError } from '../../../errors.js'
import type { Channel, Dispatch, DispatchOutcome, DispatchResult } from '../../../ports/channel.js'
import { DAY_MS, SECOND_MS, type Clock } from '../../../time.js'
import { toOutcome } from './outcome.js'

export type WecomChannelOptions = {
  client: WecomClient
  clock: Clock
  /** A message that cannot be found is looked for once more after this, as the request may still be under way. Default 3,000. */
  graceMs?: number
  /** How to wait; default real time. */
  pause?: (ms: number) => Promise<void>
}

const LINK_MAX_BYTES = { title: 128, url: 2_048, desc: 512 }
/** The list can be asked for a month at most. */
const LIST_MAX_MS = 30 * DAY_MS

/** Reminded 3 times in 24 h already, or cancelled meanwhile. */
const NO_REMINDER = new Set([41093, 41094])

const STATES = { 0: 'waiting', 1: 'delivered', 2: 'not_a_contact', 3: 'over_quota' } as const
const isKnown = (status: number): status is keyof typeof STATES => status in STATES

/**
 * Mass messages (企业群发): a task that the sender must confirm before anything reaches a customer.
 * @see developer.work.weixin.qq.com/document/path/92135 and 93338 (read 2026-08)
 */
export function createWecomChannel(options: WecomChannelOptions): Channel {
  const { client, clock, graceMs = 3 * SECOND_MS, pause = (ms: number) => sleep(ms) } = options

  /** The platform gives no idempotency key: the dispatch's own link is the only mark it leaves on the list. */
  async function findMessageId(dispatch: Dispatch): Promise<string | undefined> {
    for (const [from, to] of spansOf(dispatch.createdAt, clock.now())) {
      for await (const messages of client.mass.list(from, to)) {
        for (const { msgid, attachments } of messages) {
          if (attachments.some(({ link }) => link?.url === dispatch.content.link?.url)) return msgid
        }
      }
    }
    return undefined
  }

  async function fetchSends(msgId: string, senderUserId: string): Promise<GroupMessageSend[]> {
    const all: GroupMessageSend[] = []
    try {
      for await (const sends of client.mass.sends(msgId, senderUserId)) all.push(...sends)
    } catch (err) {
      if (!isCancelledError(err)) throw err
    }
    return all
  }

  return {
    ...traitsOf('wecom'),
    limits: { recipients: MASS_MESSAGE_MAX_RECIPIENTS, textBytes: TEXT_MAX_BYTES },

    async dispatch(dispatch, isLate) {
      const problem = findProblem(dispatch)
      if (problem !== undefined) return { kind: 'refused', ...problem }
      // findProblem refuses a dispatch without them.
      const { sender, link } = { sender: dispatch.sender!, link: dispatch.content.link! }
      const attachment: Attachment = {
        msgtype: 'link',
        link: {
          title: clipBytes(link.title, LINK_MAX_BYTES.title),
          url: link.url,
          ...(link.description !== undefined && { desc: clipBytes(link.description, LINK_MAX_BYTES.desc) }),
        },
      }
      try {
        const message = {
          sender,
          externalUserIds: dispatch.recipients.map(({ to }) => to),
          text: dispatch.content.text,
          attachments: [attachment],
        }
        const { msgId, failed } = await client.mass.create(message, { isLate })
        return created(msgId, failed)
      } catch (err) {
        return toOutcome(err)
      }
    },

    async settle(dispatch) {
      if (dispatch.content.link === undefined) return { kind: 'absent' } // never sent: see findProblem
      if (clock.now().getTime() - dispatch.createdAt.getTime() > LIST_MAX_MS - 2 * DAY_MS) {
        return { kind: 'unknown', reason: 'older than the month that can be listed' }
      }
      let msgId = await findMessageId(dispatch)
      if (msgId === undefined) {
        await pause(graceMs)
        msgId = await findMessageId(dispatch)
      }
      if (msgId === undefined) return { kind: 'absent' }
      const reached = await unlessNotYet(fetchSends(msgId, dispatch.sender!))
      if (reached === undefined || reached.length === 0) return created(msgId, [])
      const listed = new Set(reached.map((send) => send.external_userid))
      const asked = dispatch.recipients.map(({ to }) => to)
      return created(
        msgId,
        asked.filter((to) => !listed.has(to)),
      )
    },

    async results(dispatch): Promise<DispatchResult | undefined> {
      let confirmedAt: Date | undefined
      let isCancelled = false
      try {
        for await (const tasks of client.mass.tasks(dispatch.remoteId)) {
          const task = tasks.find(({ userid, status }) => status !== 0 && isSameUser(userid, dispatch.sender!))
          if (task !== undefined) confirmedAt = toDate(task.send_time) ?? clock.now()
        }
      } catch (err) {
        if (isNotYet(err)) return undefined
        if (!isCancelledError(err)) throw err
        // A cancelled message stays delivered where its sender was quicker: the sends tell.
        isCancelled = true
      }
      const sends =
        confirmedAt !== undefined || isCancelled
          ? await unlessNotYet(fetchSends(dispatch.remoteId, dispatch.sender!))
          : []
      if (sends === undefined) return undefined

      const bySend = new Map(sends.map((send) => [send.external_userid, send]))
      const recipients = dispatch.recipients.flatMap(({ to }) => {
        const send = bySend.get(to)
        // Once there are sends, whoever is not among them was refused when the message was created.
        if (send === undefined) return bySend.size > 0 ? [] : [{ to, state: 'waiting' as const }]
        const at = toDate(send.send_time)
        const state = isKnown(send.status) ? STATES[send.status] : ('waiting' as const)
        return [{ to, state, ...(at !== undefined && { at }) }]
      })
      if (isCancelled) confirmedAt = recipients.find(({ state }) => state === 'delivered')?.at
      return {
        recipients,
        final: isCancelled || (confirmedAt !== undefined && recipients.every(({ state }) => state !== 'waiting')),
        ...(confirmedAt !== undefined && { confirmedAt }),
      }
    },

    async remind({ remoteId }) {
      try {
        await client.mass.remind(remoteId)
      } catch (err) {
        if (!(err instanceof WecomError) || !NO_REMINDER.has(err.errcode)) throw err
      }
    },

    async cancel({ remoteId }) {
      await client.mass.cancel(remoteId)
    },
  }
}

/** Where a message is looked for on the list: the platform dates it by its own clock. */
function spansOf(createdAt: Date, now: Date): [Date, Date][] {
  const day = (at: Date, days: number) => new Date(at.getTime() + days * DAY_MS)
  if (createdAt <= now) return [[day(createdAt, -1), day(now, 1)]]
  // Ours is wrong now, or was when this was written down, and then it may have been asked for on any day.
  return [
    [day(now, 2 - LIST_MAX_MS / DAY_MS), day(now, 1)],
    [day(createdAt, -1), day(createdAt, 1)],
  ]
}

function created(msgId: string, failed: readonly string[]): DispatchOutcome {
  const refused = failed.map((to) => ({ to, reason: 'not_reachable' }))
  return { kind: 'created', remoteId: msgId, refused }
}

function findProblem({ sender, recipients, content }: Dispatch): { reason: string; message: string } | undefined {
  if (recipients.length === 0) return { reason: 'no_recipient', message: 'a mass message needs a recipient' }
  if (sender === undefined) return { reason: 'no_sender', message: 'a mass message needs a member to send it' }
  if (recipients.length > MASS_MESSAGE_MAX_RECIPIENTS) {
    const message = `${recipients.length} recipients: split into messages of at most ${MASS_MESSAGE_MAX_RECIPIENTS}`
    return { reason: 'too_many_recipients', message }
  }
  const textBytes = Buffer.byteLength(content.text)
  if (textBytes > TEXT_MAX_BYTES) {
    return { reason: 'text_too_long', message: `the text has ${textBytes} bytes: shorten it to ${TEXT_MAX_BYTES}` }
  }
  if (content.link === undefined) {
    return {
      reason: 'link_missing',
      message: 'a mass message needs a link of its own, or a lost answer cannot be settled',
    }
  }
  const urlBytes = Buffer.byteLength(content.link.url)
  if (urlBytes > LINK_MAX_BYTES.url) {
    return { reason: 'link_too_long', message: `the link has ${urlBytes} bytes: shorten it to ${LINK_MAX_BYTES.url}` }
  }
  return undefined
}

/** `undefined` while the platform cannot say. */
async function unlessNotYet<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (err) {
    if (isNotYet(err)) return undefined
    throw err
  }
}

/** Still being dispatched (41063), or busy or not reached beyond the client's own tries. */
function isNotYet(err: unknown): boolean {
  return err instanceof UpstreamError && err.retryable
}

function isCancelledError(err: unknown): boolean {
  return err instanceof WecomError && err.errcode === 41093
}

/** The platform compares userids without regard to case. */
function isSameUser(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

function toDate(unixSeconds: number | undefined): Date | undefined {
  return unixSeconds === undefined || unixSeconds === 0 ? undefined : new Date(unixSeconds * 1000)
}
