import { hashKey, unitOf } from '../../src/random.js'
import { quotaPeriod } from './calendar.js'
import type { Chats } from './chats.js'
import type { Core } from './core.js'
import { drawHandledAt, drawOwnSend, drawPurchase, drawReaction, drawReadAt, type ReplyKind } from './draws.js'
import { type Answered, type Content, contentHashOf, type Message, type Unread } from './messages.js'

type MassRow = {
  content: string
  content_hash: string
  created_ms: number
  cancelled: number
  chat_type: 'single' | 'group'
  allow_select: number
}

const DELIVERY =
  'delivery (seq, kind, msgid, user_id, external_user_id, content_id, sent_ms, created_ms, reads_ms)' as const

const READ = 'UPDATE delivery SET read_ms = value ->> 1 FROM json_each(?) WHERE seq = value ->> 0'
const REPLIED = `UPDATE delivery SET replied_ms = value ->> 1, reply = value ->> 2 FROM json_each(?) WHERE seq = value ->> 0`

/** Ids of contents that are kept in memory. */
const CONTENTS = 10_000

/** Messages on their way to customers, and what the customers do about them. */
export class Sending {
  private nextSeq = 1
  private readonly contentIds = new Map<string, number>()

  constructor(
    private readonly core: Core,
    private readonly chats: Chats,
  ) {}

  /** Puts back into the agenda what is not in its table: the messages that somebody is going to read. */
  restore(): void {
    const { state, agenda } = this.core
    this.forget()
    this.nextSeq = (state.get<{ seq: number | null }>('SELECT max(seq) AS seq FROM delivery')?.seq ?? 0) + 1
    const rows = state.all<{
      seq: number
      msgid: string
      user_id: string
      external_user_id: string
      content_hash: string
      link: string | null
      sent_ms: number
      reads_ms: number
    }>('SELECT * FROM message WHERE reads_ms IS NOT NULL AND read_ms IS NULL')
    for (const row of rows) {
      const unread = {
        seq: row.seq,
        msgid: row.msgid,
        userId: row.user_id,
        externalUserId: row.external_user_id,
        contentHash: row.content_hash,
        sentMs: row.sent_ms,
        hasLink: row.link !== null,
      }
      agenda.push({ atMs: row.reads_ms, kind: 'read', key: keyOf(unread), data: unread, stored: false })
    }
  }

  /** After a transaction that failed: a content may not be there after all. */
  forget(): void {
    this.contentIds.clear()
  }

  /** A mass task has reached a member; she may get to it. `purpose` tells the first notice from each reminder. */
  scheduleConfirm(msgid: string, userId: string, drawKey: string, purpose: string, at: Date): void {
    const { seed, scenario, staff, agenda } = this.core
    const confirmAt = drawHandledAt(seed, staff.known(userId), scenario.timeZone, purpose, drawKey, at)
    if (confirmAt !== undefined)
      agenda.schedule(confirmAt, 'confirm', `${drawKey}/${userId}/${msgid}/${purpose}`, { msgid, userId })
  }

  /**
   * The member presses send. Per customer: over the quota → 3, no friend any more → 2, else 1 and the message arrives.
   * @param only - the customers or groups she leaves ticked; the others stay unsent. Default: all, but for her habits.
   * @returns whether her task was still waiting.
   */
  confirm(msgid: string, userId: string, at: Date, only?: ReadonlySet<string>): boolean {
    const { state } = this.core
    const mass = state.get<MassRow>('SELECT * FROM mass WHERE msgid = ?', msgid)
    if (mass === undefined || mass.cancelled === 1 || this.core.staff.leftAt(userId) !== undefined) return false
    const changed = state.run(
      'UPDATE mass_task SET status = 2, sent_ms = ? WHERE msgid = ? AND user_id = ? AND status = 0',
      at.getTime(),
      msgid,
      userId,
    )
    if (changed === 0) return false
    const isGroup = mass.chat_type === 'group'
    if (isGroup) this.chooseChats(msgid, userId, only)
    const ticked = this.targetsOf(msgid, userId, mass, only)
    const reachable = isGroup ? this.ownChats(userId, ticked) : this.friends(userId, ticked)
    const allowed = this.takeQuota(reachable, at)
    const gone = without(ticked, reachable)
    const refused = without(reachable, allowed)
    this.settle(msgid, userId, gone, 2, undefined)
    this.settle(msgid, userId, refused, 3, undefined)
    this.settle(msgid, userId, allowed, 1, at)
    state.count('not_a_contact', gone.length)
    state.count('refused_by_quota', refused.length)
    const content = JSON.parse(mass.content) as Content
    const kind = isGroup ? 'group' : 'mass'
    const message = {
      kind,
      msgid,
      userId,
      content,
      contentHash: mass.content_hash,
      createdMs: mass.created_ms,
    } as const
    this.touch(userId, allowed, at)
    for (const externalUserId of allowed) this.put({ ...message, externalUserId }, at)
    state.count('confirmed')
    this.core.happened(at, 'confirmed', msgid, userId)
    return true
  }

  /** Puts a message before a customer, who may read it. */
  deliver(message: Message, at: Date): void {
    this.touch(message.userId, [message.externalUserId], at)
    this.put(message, at)
  }

  /** Whether a customer or group may get one more mass message in the current period. */
  hasQuota(id: string, at: Date): boolean {
    const { period, limit } = quotaPeriod(this.core.scenario.quotaMode, at)
    const row = this.core.state.get<{ used: number }>(
      'SELECT used FROM quota WHERE external_user_id = ? AND period = ?',
      id,
      period,
    )
    return (row?.used ?? 0) < limit
  }

  /** The customer opens it; what he does then is drawn now. */
  read(unread: Unread, at: Date): void {
    const { state, seed, scenario } = this.core
    const { seq, msgid, userId, externalUserId, contentHash } = unread
    state.change(READ, [seq, at.getTime()])
    state.count('reads')
    this.core.happened(at, 'read', userId, externalUserId, msgid)
    const about = `${userId}/${contentHash}`
    const answered: Answered = { seq, msgid, userId, externalUserId }
    const reaction = drawReaction(seed, scenario, externalUserId, about, at)
    if (reaction?.kind === 'reply')
      this.core.agenda.schedule(reaction.at, 'reply', keyOf(unread), { ...answered, reply: reaction.reply })
    if (reaction?.kind === 'delete')
      this.core.agenda.schedule(reaction.at, 'customer_deletes', `${externalUserId}/${userId}`, {
        userId,
        externalUserId,
      })
    const { clickAt, buyAt } = drawPurchase(seed, scenario, externalUserId, about, new Date(unread.sentMs), at)
    if (clickAt !== undefined && unread.hasLink) this.core.agenda.schedule(clickAt, 'click', keyOf(unread), answered)
    if (buyAt !== undefined) this.core.agenda.schedule(buyAt, 'buy', keyOf(unread), answered)
  }

  reply({ seq, msgid, userId, externalUserId }: Answered, reply: ReplyKind, at: Date): void {
    const { state } = this.core
    state.change(REPLIED, [seq, at.getTime(), reply])
    this.touch(userId, [externalUserId], at)
    state.count(`replies:${reply}`)
    this.core.happened(at, 'replied', userId, externalUserId, msgid, reply)
  }

  /** The customer replies to the last message that he has not replied to, which he has read then. @returns whether there is one */
  answer(externalUserId: string, reply: ReplyKind, at: Date): boolean {
    const { state } = this.core
    const last = state.get<{ seq: number; msgid: string; user_id: string; read_ms: number | null }>(
      'SELECT seq, msgid, user_id, read_ms FROM delivery WHERE external_user_id = ? AND replied_ms IS NULL ORDER BY seq DESC LIMIT 1',
      externalUserId,
    )
    if (last === undefined) return false
    const { seq, msgid, user_id: userId } = last
    if (last.read_ms === null) {
      state.change(READ, [seq, at.getTime()])
      state.count('reads')
      this.core.happened(at, 'read', userId, externalUserId, msgid)
    }
    this.reply({ seq, msgid, userId, externalUserId }, reply, at)
    return true
  }

  /** A mass message of the member's own, to a part of her customers: it eats their quota like any other. */
  sendOwn(userId: string, n: number, at: Date): void {
    const { state, seed } = this.core
    const member = this.core.staff.find(userId)!
    const content: Content = { text: `到店有礼 ${userId} ${n}`, attachments: [] }
    const contentHash = contentHashOf(content.text)
    const msgid = `msg${hashKey(29, 'own', seed, userId, n)}`
    const targets = state
      .many<{ id: string }>(
        `SELECT external_user_id AS id FROM relation WHERE user_id = ? AND status = 'active'`,
        userId,
      )
      .filter(({ id }) => drawOwnSend(seed, userId, id, n) < member.ownSendRatio)
    if (targets.length === 0) return
    state.run(
      `INSERT OR IGNORE INTO mass (msgid, created_ms, content, content_hash, draw_key, creator) VALUES (?, ?, ?, ?, ?, ?)`,
      msgid,
      at.getTime(),
      JSON.stringify(content),
      contentHash,
      msgid,
      userId,
    )
    state.run('INSERT OR IGNORE INTO mass_task (msgid, user_id) VALUES (?, ?)', msgid, userId)
    state.run(
      'INSERT OR IGNORE INTO mass_target (msgid, user_id, external_user_id) SELECT ?, ?, value FROM json_each(?)',
      msgid,
      userId,
      JSON.stringify(targets.map((t) => t.id)),
    )
    this.confirm(msgid, userId, at)
  }

  private put(message: Message, at: Date): void {
    const { state, seed, scenario } = this.core
    const { kind, msgid, userId, externalUserId, content, contentHash, createdMs } = message
    const seq = this.nextSeq++
    // Who of a group reads what is not told to anybody.
    const readAt =
      kind === 'group' ? undefined : drawReadAt(seed, scenario, externalUserId, `${userId}/${contentHash}`, at)
    state.append(DELIVERY, [seq, kind, msgid, userId, externalUserId, this.contentId(content, contentHash), at.getTime(), createdMs, readAt?.getTime() ?? null]) // prettier-ignore
    state.count('messages')
    this.core.happened(at, 'delivered', userId, externalUserId, msgid)
    if (readAt === undefined) return
    const hasLink = content.link !== undefined
    const unread: Unread = { seq, msgid, userId, externalUserId, contentHash, sentMs: at.getTime(), hasLink }
    this.core.agenda.push({ atMs: readAt.getTime(), kind: 'read', key: keyOf(unread), data: unread, stored: false })
  }

  /** A text and link are stored once, however many get them. */
  private contentId({ text, link }: Content, hash: string): number {
    const { state } = this.core
    const linkText = link === undefined ? null : JSON.stringify(link)
    const key = JSON.stringify([hash, text, linkText])
    let id = this.contentIds.get(key)
    if (id !== undefined) return id
    const find = () =>
      state.get<{ id: number }>(
        'SELECT id FROM content WHERE hash = ? AND text = ? AND link IS ?',
        hash,
        text,
        linkText,
      )?.id
    id = find()
    if (id === undefined) {
      state.run('INSERT INTO content (hash, text, link) VALUES (?, ?, ?)', hash, text, linkText)
      id = find()!
    }
    if (this.contentIds.size >= CONTENTS) this.contentIds.clear()
    this.contentIds.set(key, id)
    return id
  }

  /** Her customers or groups that the message goes to: those she leaves ticked. In the order of their ids. */
  private targetsOf(msgid: string, userId: string, mass: MassRow, only: ReadonlySet<string> | undefined): string[] {
    const all = this.core.state.many<{ id: string }>(
      'SELECT external_user_id AS id FROM mass_target WHERE msgid = ? AND user_id = ? ORDER BY external_user_id',
      msgid,
      userId,
    )
    const unticked = mass.allow_select === 1 ? this.core.staff.find(userId)!.untickRatio : 0
    const isTicked = (id: string) =>
      only !== undefined
        ? only.has(id)
        : unticked === 0 || unitOf(this.core.seed, 'untick', userId, id, mass.content_hash) >= unticked
    return all.flatMap(({ id }) => (isTicked(id) ? [id] : []))
  }

  /** A message to groups without a list of them: its member takes those she ticks, or all she owns. */
  private chooseChats(msgid: string, userId: string, only: ReadonlySet<string> | undefined): void {
    const { state } = this.core
    if (state.get('SELECT 1 FROM mass_target WHERE msgid = ?', msgid) !== undefined) return
    for (const { chatId } of this.chats.list({ owners: [userId], limit: Number.MAX_SAFE_INTEGER })) {
      if (only === undefined || only.has(chatId))
        state.run('INSERT INTO mass_target (msgid, user_id, external_user_id) VALUES (?, ?, ?)', msgid, userId, chatId)
    }
  }

  private ownChats(userId: string, ids: readonly string[]): string[] {
    return ids.filter((id) => {
      const chat = this.chats.get(id)
      return chat?.owner === userId && chat.dismissedAt === undefined
    })
  }

  private friends(userId: string, ids: readonly string[]): string[] {
    return this.idsOf(
      `SELECT external_user_id AS id FROM relation WHERE user_id = ? AND status = 'active'
         AND external_user_id IN (SELECT value FROM json_each(?)) ORDER BY external_user_id`,
      userId,
      JSON.stringify(ids),
    )
  }

  /** Counts one message for each; those who have had their share are left out. */
  private takeQuota(ids: readonly string[], at: Date): string[] {
    const { period, limit } = quotaPeriod(this.core.scenario.quotaMode, at)
    const rows = this.core.state.all<{ id: string }>(
      `INSERT INTO quota SELECT value, ?, 1 FROM json_each(?) WHERE true
         ON CONFLICT (external_user_id, period) DO UPDATE SET used = used + 1 WHERE used < ? RETURNING external_user_id AS id`,
      period,
      JSON.stringify(ids),
      limit,
    )
    return rows.map((row) => row.id).sort()
  }

  /** The send status of page 93563: 1 sent, 2 no friend any more, 3 the customer has had his share. */
  private settle(msgid: string, userId: string, ids: readonly string[], status: 1 | 2 | 3, at: Date | undefined): void {
    if (ids.length === 0) return
    this.core.state.run(
      `UPDATE mass_target SET status = ?, sent_ms = ? WHERE msgid = ? AND user_id = ?
         AND external_user_id IN (SELECT value FROM json_each(?))`,
      status,
      at?.getTime() ?? null,
      msgid,
      userId,
      JSON.stringify(ids),
    )
  }

  /** They have been in touch. */
  private touch(userId: string, ids: readonly string[], at: Date): void {
    this.core.state.run(
      'UPDATE relation SET last_ms = ? WHERE user_id = ? AND external_user_id IN (SELECT value FROM json_each(?))',
      at.getTime(),
      userId,
      JSON.stringify(ids),
    )
  }

  private idsOf(sql: string, ...params: (string | number)[]): string[] {
    return this.core.state.many<{ id: string }>(sql, ...params).map((row) => row.id)
  }
}

function without(ids: readonly string[], kept: readonly string[]): readonly string[] {
  if (ids.length === kept.length) return []
  const set = new Set(kept)
  return ids.filter((id) => !set.has(id))
}

/** Orders ties: who, from whom, which message. */
function keyOf({ externalUserId, userId, msgid }: Omit<Answered, 'seq'>): string {
  return `${externalUserId}/${userId}/${msgid}`
}
