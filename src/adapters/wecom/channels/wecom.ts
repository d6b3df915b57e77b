import { setTimeout as sleep } from 'node:timers/promises'
import type { WecomClient } from '../client.js'
import { WecomError } from '../transport/error-codes.js'
import { MASS_MESSAGE_MAX_RECIPIENTS } from '../transport/limits.js'
import type { Attachment, GroupMessage, GroupMessageSend } from '../calls/mass.js'
import { clipBytes } from '../../../domain/content/clip.js'
import { TEXT_MAX_BYTES } from '../../../domain/content/content.js'
import { traitsOf } from '../../../domain/touches/channels.js'
import { UpstreamError } from '../../../errors.js'
import type { Channel, Dispatch, DispatchOutcome, DispatchResult, TakenIds } from '../../../ports/channel.js'
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

/** A message of a dispatch; `sends`: `undefined` while the platform cannot say whom it reaches. */
type Found = { msgId: string; sends: GroupMessageSend[] | undefined }

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

  async function* listed({ createdAt }: Dispatch): AsyncIterable<GroupMessage> {
    for (const [from, to] of spansOf(createdAt, clock.now()))
      for await (const messages of client.mass.list(from, to)) yield* messages
  }

  /** The platform gives no idempotency key: the dispatch's own link is the only mark it can leave on the list. */
  async function findByLink(dispatch: Dispatch, url: string): Promise<Found | undefined> {
    for await (const { msgid, attachments } of listed(dispatch)) {
      if (!attachments.some(({ link }) => link?.url === url)) continue
      return { msgId: msgid, sends: await unlessNotYet(fetchSends(msgid, dispatch.sender!)) }
    }
    return undefined
  }

  /**
   * Words bear no mark. Of the messages with the same ones, which no other dispatch is known by, it is the one that its sender has
   * before her for these customers and nobody else.
   *
   * @throws {UpstreamError} while the platform does not say yet whom one of them is for
   */
  async function findByWords(dispatch: Dispatch, isTaken: TakenIds): Promise<Found | 'several' | undefined> {
    const same: string[] = []
    for await (const { msgid, text, attachments } of listed(dispatch))
      if (attachments.length === 0 && isSameText(text?.content ?? '', dispatch.content.text)) same.push(msgid)
    const taken = await isTaken(same)
    const found: Found[] = []
    for (const msgId of same.filter((id) => !taken.has(id))) {
      if (!(await isBefore(dispatch.sender!, msgId))) continue
      const sends = await fetchSends(msgId, dispatch.sender!)
      if (sends.length === 0) throw notYet(msgId)
      const asked = new Set(dispatch.recipients.map(({ to }) => to))
      if (sends.every((send) => asked.has(send.external_userid))) found.push({ msgId, sends })
    }
    const whole = found.filter(({ sends }) => sends?.length === dispatch.recipients.length)
    if (found.length > 1 && whole.length === 0) return 'several'
    return whole[0] ?? found[0]
  }

  /** Whether it is this member's to send. */
  async function isBefore(userId: string, msgId: string): Promise<boolean> {
    let isListed = false
    try {
      for await (const tasks of client.mass.tasks(msgId)) {
        if (tasks.some((task) => isSameUser(task.userid, userId))) return true
        isListed ||= tasks.length > 0
      }
    } catch (err) {
      if (isCancelledError(err)) return true // whom it was for tells
      throw err
    }
    if (!isListed) throw notYet(msgId)
    return false
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
      try {
        const message = {
          sender: dispatch.sender!, // findProblem refuses a dispatch without
          externalUserIds: dispatch.recipients.map(({ to }) => to),
          text: dispatch.content.text,
          attachments: attachmentsOf(dispatch.content),
        }
        const { msgId, failed } = await client.mass.create(message, { isLate })
        return created(msgId, failed)
      } catch (err) {
        return toOutcome(err)
      }
    },

    async settle(dispatch, isTaken) {
      const { sender, content, createdAt, recipients } = dispatch
      if (sender === undefined) return { kind: 'absent' } // never sent: see findProblem
      if (clock.now().getTime() - createdAt.getTime() > LIST_MAX_MS - 2 * DAY_MS) {
        return { kind: 'unknown', reason: 'older than the month that can be listed' }
      }
      const { link } = content
      const find = () => (link === undefined ? findByWords(dispatch, isTaken) : findByLink(dispatch, link.url))
      let found = await find()
      if (found === undefined) {
        await pause(graceMs)
        found = await find()
      }
      if (found === undefined) return { kind: 'absent' }
      if (found === 'several') return { kind: 'unknown', reason: 'several messages with these words may be this one' }
      const { msgId, sends } = found
      if (sends === undefined || sends.length === 0) return created(msgId, [])
      const reached = new Set(sends.map((send) => send.external_userid))
      const asked = recipients.map(({ to }) => to)
      return created(
        msgId,
        asked.filter((to) => !reached.has(to)),
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
  const urlBytes = Buffer.byteLength(content.link?.url ?? '')
  if (urlBytes > LINK_MAX_BYTES.url) {
    return { reason: 'link_too_long', message: `the link has ${urlBytes} bytes: shorten it to ${LINK_MAX_BYTES.url}` }
  }
  return undefined
}

function attachmentsOf({ link }: Dispatch['content']): Attachment[] {
  if (link === undefined) return []
  const { title, url, description } = link
  const desc = description !== undefined && { desc: clipBytes(description, LINK_MAX_BYTES.desc) }
  return [{ msgtype: 'link', link: { title: clipBytes(title, LINK_MAX_BYTES.title), url, ...desc } }]
}

/** The list gives words back as they were sent; blanks and line ends may have suffered. */
function isSameText(a: string, b: string): boolean {
  const plain = (text: string) => text.normalize('NFC').replace(/\s+/g, '')
  return plain(a) === plain(b)
}

function notYet(msgId: string): UpstreamError {
  return new UpstreamError('wecom', 'no_sends', true, `nobody is listed yet for the mass message ${msgId}`)
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
