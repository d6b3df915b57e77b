import { hashKey } from '../../src/random.js'
import { DAY_MS, SECOND_MS } from '../../src/time.js'
import type { SandboxIdentity } from '../identity.js'
import { tagIdsOf, type Scenario, type ScenarioContact, type ScenarioMember } from '../scenario.js'
import type { State } from '../state.js'
import { toXml, type XmlFields } from '../xml.js'
import { quotaPeriod } from './calendar.js'
import { Chats } from './chats.js'
import { drawButton, drawHandledAt, drawReaction, drawReadAt, type ReplyKind } from './draws.js'
import { EventLog } from './event-log.js'
import { Staff } from './staff.js'
import { Transfers } from './transfers.js'

/** Page 92137: a welcome code lives 20 s. */
const WELCOME_CODE_MS = 20 * SECOND_MS
/** Page 94888 (2025-09): a response code lives 72 h. */
const RESPONSE_CODE_MS = 3 * DAY_MS

export type MessageLink = { title: string; url: string; description?: string }
export type Content = { text: string; link?: MessageLink; attachments: readonly unknown[] }

/** What the world will do at some instant. Stored; ties at one instant are played in the order of kind and key. */
type DueData = {
  add: {
    userId: string
    externalUserId: string
    addWay: number
    state?: string
    remarkMobiles: string[]
    tagIds: string[]
  }
  customer_deletes: { userId: string; externalUserId: string }
  confirm: { msgid: string; userId: string }
  read: { messageId: string }
  reply: { messageId: string; reply: ReplyKind }
  press: { msgid: string; userId: string; key: string }
  takeover: { seq: number }
  resign: { userId: string }
}
type Kind = keyof DueData

/** `half`: the customer has added a member who has not added him back; the APIs answer 84061 as if there were nothing. */
export type RelationStatus = 'half' | 'active' | 'customer_deleted' | 'member_deleted'
export type Relation = {
  userId: string
  externalUserId: string
  status: RelationStatus
  createdAt: Date
  addWay: number
  state?: string
  remark: string
  remarkMobiles: string[]
  tagIds: string[]
}
type CardBody = {
  card_type: string
  action_menu?: { action_list: { key: string }[] } | null | undefined
  submit_button?: { key: string } | null | undefined
  button_list?: { type?: number; key?: string }[]
  button_selection?: { question_key: string; selected_id?: string; option_list: { id: string }[] }
}

type RelationRow = {
  status: RelationStatus
  created_ms: number
  add_way: number
  state: string | null
  remark: string
  remark_mobiles: string
}

/** The same text and link give the same hash, whoever computes it. */
export function contentHashOf(text: string, url = ''): string {
  return hashKey(32, text, url)
}

/**
 * Members and customers: what is, what they will do, and the callbacks that follow. Everything one event does (state,
 * log, callbacks, the clock's position) is written in one transaction, so a kill leaves it done or not done.
 */
export class World {
  readonly staff: Staff
  readonly chats = new Chats(this)
  readonly transfers = new Transfers(this)
  readonly events = new EventLog()
  private nextDueMs: number | undefined

  constructor(
    readonly state: State,
    readonly seed: number,
    readonly scenario: Scenario,
    readonly identity: SandboxIdentity,
    /** Nobody is called back while there is no receiver. */
    private readonly callsBack: () => boolean,
  ) {
    this.staff = new Staff(state, scenario.members)
    this.restore()
  }

  /** Somebody who works here now. User ids are case-insensitive on input. */
  member(userId: string): ScenarioMember | undefined {
    const member = this.staff.find(userId)
    return member === undefined || this.staff.leftAt(member.userId) !== undefined ? undefined : member
  }

  get nextAtMs(): number | undefined {
    return this.nextDueMs
  }

  /** Writes the scenario's first day. Contacts of later days become events. */
  populate(startAt: Date): void {
    const { contacts, corpTags } = this.scenario
    corpTags.forEach((group, i) => {
      const { groupId, tagIds } = tagIdsOf(group)
      const order = corpTags.length - i
      this.state.run('INSERT INTO tag_group VALUES (?, ?, ?, ?)', groupId, group.name, startAt.getTime(), order)
      group.tags.forEach((tag, j) =>
        this.state.run(
          'INSERT INTO tag VALUES (?, ?, ?, ?, ?)',
          tagIds[j]!,
          groupId,
          tag.name,
          startAt.getTime(),
          group.tags.length - j,
        ),
      )
    })
    for (const contact of contacts) this.populateContact(contact, startAt)
    for (const { userId, resignsAt } of this.staff.all) {
      if (resignsAt === undefined) continue
      if (resignsAt > startAt) this.schedule(resignsAt, 'resign', userId, { userId })
      else this.staff.resign(userId, resignsAt)
    }
    this.refreshNextDue()
  }

  /** Plays the earliest event if it is due by `to`; returns its instant. */
  playNext(to: Date): Date | undefined {
    if (this.nextDueMs === undefined || this.nextDueMs > to.getTime()) return undefined
    const row = this.state.get<{ at_ms: number; kind: Kind; key: string; data: string }>(
      'SELECT at_ms, kind, key, data FROM due ORDER BY at_ms, kind, key LIMIT 1',
    )!
    // An event that became due while the clock stood elsewhere never turns the clock back.
    const at = new Date(Math.max(row.at_ms, Number(this.state.meta('now_ms'))))
    this.write(() => {
      this.state.run('DELETE FROM due WHERE at_ms = ? AND kind = ? AND key = ?', row.at_ms, row.kind, row.key)
      this.play(row.kind, JSON.parse(row.data) as DueData[Kind], at)
      this.state.setMeta('now_ms', String(at.getTime()))
    })
    return at
  }

  /** One transaction; keeps the knowledge of what is next. */
  write<T>(work: () => T): T {
    try {
      return this.state.tx(() => {
        const before = this.events.events
        const result = work()
        if (this.events.events > before) this.state.setMeta('event_log', this.events.toText())
        return result
      })
    } catch (err) {
      this.restore()
      throw err
    } finally {
      this.refreshNextDue()
    }
  }

  /** Writes a line of the event log: something that people did, or that was done to them. Keys are ids, never texts. */
  happened(at: Date, kind: string, ...keys: string[]): void {
    this.events.add(at, kind, keys)
  }

  /** A member and a customer become friends, now. @returns whether they were not yet. */
  addContact(data: DueData['add'], at: Date): boolean {
    const { userId, externalUserId } = data
    const before = this.relationStatus(userId, externalUserId)
    if (before === 'active') return false
    this.putRelation(data, 'active', at)
    this.happened(at, 'added', userId, externalUserId)
    // Who came half-way has the code of that event.
    const code = before === 'half' ? undefined : this.issueWelcomeCode(userId, externalUserId, at)
    this.raiseContactEvent('add_external_contact', userId, externalUserId, at, { State: data.state, WelcomeCode: code })
    return true
  }

  /** The customer adds a member who lets everybody in and has not added him back (page 92130). `addContact` completes it. */
  addHalf(data: DueData['add'], at: Date): boolean {
    const { userId, externalUserId } = data
    const before = this.relationStatus(userId, externalUserId)
    if (before === 'active' || before === 'half') return false
    this.putRelation(data, 'half', at)
    this.happened(at, 'half_added', userId, externalUserId)
    const code = this.issueWelcomeCode(userId, externalUserId, at)
    this.raiseContactEvent('add_half_external_contact', userId, externalUserId, at, {
      State: data.state,
      WelcomeCode: code,
    })
    return true
  }

  /** She leaves the company: her groups wait for a new owner, her customers are still hers until somebody takes over. */
  resign(userId: string, at: Date): boolean {
    if (!this.staff.resign(userId, at)) return false
    this.happened(at, 'resigned', userId)
    for (const chat of this.chats.list({ owners: [userId], limit: Number.MAX_SAFE_INTEGER }))
      this.chats.setStatus(chat.chatId, 1)
    this.raise(at, {
      ToUserName: this.identity.corpId,
      FromUserName: 'sys',
      CreateTime: Math.floor(at.getTime() / SECOND_MS),
      MsgType: 'event',
      Event: 'change_contact',
      ChangeType: 'delete_user',
      UserID: userId,
    })
    return true
  }

  /** @returns whether there was something to delete. */
  deleteContact(userId: string, externalUserId: string, by: 'customer' | 'member', at: Date): boolean {
    const status = this.relationStatus(userId, externalUserId)
    if (status === undefined || status === 'member_deleted' || (by === 'customer' && status === 'customer_deleted'))
      return false
    this.setStatus(userId, externalUserId, by === 'customer' ? 'customer_deleted' : 'member_deleted')
    this.happened(at, by === 'customer' ? 'customer_deleted' : 'member_deleted', userId, externalUserId)
    this.raiseContactEvent(by === 'customer' ? 'del_follow_user' : 'del_external_contact', userId, externalUserId, at)
    return true
  }

  /** What a member does in her client, as opposed to an API write: it calls back. */
  editContact(
    userId: string,
    externalUserId: string,
    edit: { remark?: string; addTags: string[]; removeTags: string[] },
    at: Date,
  ): boolean {
    const status = this.relationStatus(userId, externalUserId)
    if (status === undefined || status === 'member_deleted' || status === 'half') return false
    if (edit.remark !== undefined) {
      this.state.run(
        'UPDATE relation SET remark = ? WHERE user_id = ? AND external_user_id = ?',
        edit.remark,
        userId,
        externalUserId,
      )
    }
    for (const tagId of edit.addTags)
      this.state.run('INSERT OR IGNORE INTO relation_tag VALUES (?, ?, ?)', userId, externalUserId, tagId)
    for (const tagId of edit.removeTags) {
      this.state.run(
        'DELETE FROM relation_tag WHERE user_id = ? AND external_user_id = ? AND tag_id = ?',
        userId,
        externalUserId,
        tagId,
      )
    }
    this.happened(at, 'edited', userId, externalUserId)
    this.raiseContactEvent('edit_external_contact', userId, externalUserId, at)
    return true
  }

  relation(userId: string, externalUserId: string): Relation | undefined {
    const row = this.state.get<RelationRow>(
      'SELECT * FROM relation WHERE user_id = ? AND external_user_id = ?',
      userId,
      externalUserId,
    )
    if (row === undefined) return undefined
    const tags = this.state.all<{ tag_id: string }>(
      'SELECT tag_id FROM relation_tag WHERE user_id = ? AND external_user_id = ? ORDER BY tag_id',
      userId,
      externalUserId,
    )
    return {
      userId,
      externalUserId,
      status: row.status,
      createdAt: new Date(row.created_ms),
      addWay: row.add_way,
      ...(row.state === null ? {} : { state: row.state }),
      remark: row.remark,
      remarkMobiles: JSON.parse(row.remark_mobiles) as string[],
      tagIds: tags.map((t) => t.tag_id),
    }
  }

  /** Another member has the customer as well, with the remark and tags of the first. Calls nobody back. */
  copyRelation(from: Relation, userId: string, at: Date): void {
    const { externalUserId, addWay, state, remark, remarkMobiles, tagIds } = from
    const data = { userId, externalUserId, addWay, remarkMobiles, tagIds, ...(state === undefined ? {} : { state }) }
    this.putRelation(data, 'active', at, remark)
  }

  /** The relation is gone for the APIs. Calls nobody back. */
  endRelation(userId: string, externalUserId: string): void {
    this.setStatus(userId, externalUserId, 'member_deleted')
  }

  relationStatus(userId: string, externalUserId: string): RelationStatus | undefined {
    return this.state.get<{ status: RelationStatus }>(
      'SELECT status FROM relation WHERE user_id = ? AND external_user_id = ?',
      userId,
      externalUserId,
    )?.status
  }

  /** A mass task has reached a member; she may get to it. `purpose` tells the first notice from each reminder. */
  scheduleConfirm(msgid: string, userId: string, drawKey: string, purpose: string, at: Date): void {
    const confirmAt = drawHandledAt(this.seed, this.memberOf(userId), this.scenario.timeZone, purpose, drawKey, at)
    if (confirmAt !== undefined)
      this.schedule(confirmAt, 'confirm', `${drawKey}/${userId}/${msgid}/${purpose}`, { msgid, userId })
  }

  /** A card with buttons has reached a member. */
  schedulePress(msgid: string, userId: string, taskId: string, card: CardBody, at: Date): void {
    const keys = buttonKeys(card)
    const key = drawButton(this.seed, this.scenario, userId, taskId, keys)
    const pressAt = drawHandledAt(this.seed, this.memberOf(userId), this.scenario.timeZone, 'press', taskId, at)
    if (key !== undefined && pressAt !== undefined)
      this.schedule(pressAt, 'press', `${taskId}/${userId}`, { msgid, userId, key })
  }

  /**
   * The member presses send. Per customer: over the quota → 3, no friend any more → 2, else 1 and the message arrives.
   * @param only - the customers she leaves ticked; the others stay unsent. Default all.
   * @returns whether her task was still waiting.
   */
  confirm(msgid: string, userId: string, at: Date, only?: ReadonlySet<string>): boolean {
    const mass = this.state.get<{ content: string; content_hash: string; created_ms: number; cancelled: number }>(
      'SELECT * FROM mass WHERE msgid = ?',
      msgid,
    )
    if (mass === undefined || mass.cancelled === 1 || this.staff.leftAt(userId) !== undefined) return false
    const changed = this.state.run(
      'UPDATE mass_task SET status = 2, sent_ms = ? WHERE msgid = ? AND user_id = ? AND status = 0',
      at.getTime(),
      msgid,
      userId,
    )
    if (changed === 0) return false
    const content = JSON.parse(mass.content) as Content
    const targets = this.state.all<{ external_user_id: string }>(
      'SELECT external_user_id FROM mass_target WHERE msgid = ? AND user_id = ? ORDER BY external_user_id',
      msgid,
      userId,
    )
    const { period, limit } = quotaPeriod(this.scenario.quotaMode, at)
    for (const { external_user_id: externalUserId } of targets) {
      if (only !== undefined && !only.has(externalUserId)) continue
      const status = this.sendOne(userId, externalUserId, period, limit)
      this.state.run(
        'UPDATE mass_target SET status = ?, sent_ms = ? WHERE msgid = ? AND user_id = ? AND external_user_id = ?',
        status,
        status === 1 ? at.getTime() : null,
        msgid,
        userId,
        externalUserId,
      )
      if (status === 1)
        this.deliver(
          {
            kind: 'mass',
            msgid,
            userId,
            externalUserId,
            content,
            contentHash: mass.content_hash,
            createdMs: mass.created_ms,
          },
          at,
        )
    }
    this.state.count('confirmed')
    this.happened(at, 'confirmed', msgid, userId)
    return true
  }

  /** Puts a message before a customer, who may read it. */
  deliver(
    message: {
      kind: 'mass' | 'welcome'
      msgid: string
      userId: string
      externalUserId: string
      content: Content
      contentHash: string
      createdMs: number
    },
    at: Date,
  ): void {
    const { msgid, userId, externalUserId, content, contentHash } = message
    const messageId = hashKey(32, 'message', msgid, userId, externalUserId)
    this.state.run(
      `INSERT INTO message (message_id, kind, msgid, user_id, external_user_id, content_hash, text, link, sent_ms, created_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      messageId, message.kind, msgid, userId, externalUserId, contentHash, content.text,
      content.link === undefined ? null : JSON.stringify(content.link), at.getTime(), message.createdMs,
    ) // prettier-ignore
    this.state.run(
      'UPDATE relation SET last_ms = ? WHERE user_id = ? AND external_user_id = ?',
      at.getTime(),
      userId,
      externalUserId,
    )
    this.happened(at, 'delivered', messageId)
    const readAt = drawReadAt(this.seed, this.scenario, externalUserId, `${userId}/${contentHash}`, at)
    if (readAt !== undefined) this.schedule(readAt, 'read', messageId, { messageId })
  }

  /**
   * A guide presses a button of a card she was sent; the app is called back.
   * @returns whether the card was there, offered that key, and its buttons were still alive.
   */
  press(msgid: string, userId: string, key: string, at: Date): boolean {
    const row = this.state.get<{ task_id: string; body: string; recalled: number }>(
      'SELECT task_id, body, recalled FROM app_message WHERE msgid = ? AND task_id IS NOT NULL',
      msgid,
    )
    if (row === undefined || row.recalled === 1) return false
    const card = JSON.parse(row.body) as CardBody
    const offered = [
      ...buttonKeys(card),
      card.submit_button?.key,
      ...(card.action_menu?.action_list ?? []).map((item) => item.key),
    ]
    if (!offered.includes(key)) return false
    const changed = this.state.run(
      `UPDATE app_delivery SET status = 'pressed', pressed_key = ? WHERE msgid = ? AND user_id = ? AND status = 'waiting'`,
      key,
      msgid,
      userId,
    )
    if (changed === 0) return false
    this.state.count('presses')
    this.state.count(`presses:${key.split(':')[0]}`)
    const code = this.issueResponseCode(msgid, `press/${userId}`, at)
    const selection = card.button_selection
    this.happened(at, 'pressed', userId, row.task_id, key)
    this.raise(at, {
      ToUserName: this.identity.corpId,
      FromUserName: userId,
      CreateTime: Math.floor(at.getTime() / SECOND_MS),
      MsgType: 'event',
      Event: 'template_card_event',
      EventKey: key,
      TaskId: row.task_id,
      CardType: card.card_type,
      ResponseCode: code,
      AgentID: this.identity.app.agentId,
      SelectedItems:
        selection === undefined
          ? undefined
          : {
              SelectedItem: {
                QuestionKey: selection.question_key,
                OptionIds: { OptionId: selection.selected_id ?? selection.option_list[0]?.id ?? '' },
              },
            },
    })
    return true
  }

  issueResponseCode(msgid: string, what: string, at: Date): string {
    let code = ''
    for (
      let n = 0;
      code === '' || this.state.get('SELECT 1 FROM response_code WHERE code = ?', code) !== undefined;
      n++
    ) {
      code = `RESPONSE${hashKey(40, this.seed, 'response', msgid, what, n)}`
    }
    this.state.run(
      'INSERT INTO response_code (code, msgid, expires_ms) VALUES (?, ?, ?)',
      code,
      msgid,
      at.getTime() + RESPONSE_CODE_MS,
    )
    return code
  }

  private play(kind: Kind, data: DueData[Kind], at: Date): void {
    const players: { [K in Kind]: (data: DueData[K]) => void } = {
      add: (d) => void this.addContact(d, at),
      customer_deletes: (d) => void this.deleteContact(d.userId, d.externalUserId, 'customer', at),
      confirm: (d) => void this.confirm(d.msgid, d.userId, at),
      read: (d) => this.read(d.messageId, at),
      reply: (d) => this.reply(d.messageId, d.reply, at),
      press: (d) => void this.press(d.msgid, d.userId, d.key, at),
      takeover: (d) => this.transfers.carryOut(d.seq, at),
      resign: (d) => void this.resign(d.userId, at),
    }
    const player = players[kind] as (data: DueData[Kind]) => void
    player(data)
  }

  private read(messageId: string, at: Date): void {
    const message = this.state.get<{ user_id: string; external_user_id: string; content_hash: string }>(
      'SELECT * FROM message WHERE message_id = ?',
      messageId,
    )!
    const { user_id: userId, external_user_id: externalUserId } = message
    this.state.run('UPDATE message SET read_ms = ? WHERE message_id = ?', at.getTime(), messageId)
    this.happened(at, 'read', messageId)
    this.state.count('reads')
    const reaction = drawReaction(this.seed, this.scenario, externalUserId, `${userId}/${message.content_hash}`, at)
    if (reaction?.kind === 'reply') this.schedule(reaction.at, 'reply', messageId, { messageId, reply: reaction.reply })
    if (reaction?.kind === 'delete')
      this.schedule(reaction.at, 'customer_deletes', `${externalUserId}/${userId}`, { userId, externalUserId })
  }

  private reply(messageId: string, reply: ReplyKind, at: Date): void {
    const message = this.state.get<{ user_id: string; external_user_id: string }>(
      'SELECT user_id, external_user_id FROM message WHERE message_id = ?',
      messageId,
    )!
    this.state.run('UPDATE message SET replied_ms = ?, reply = ? WHERE message_id = ?', at.getTime(), reply, messageId)
    this.happened(at, 'replied', messageId, reply)
    this.state.run(
      'UPDATE relation SET last_ms = ? WHERE user_id = ? AND external_user_id = ?',
      at.getTime(),
      message.user_id,
      message.external_user_id,
    )
    this.state.count(`replies:${reply}`)
  }

  /** The send status of page 93563: 1 sent, 2 no friend any more, 3 the customer has had his share. */
  private sendOne(userId: string, externalUserId: string, period: string, limit: number): 1 | 2 | 3 {
    if (this.relationStatus(userId, externalUserId) !== 'active') {
      this.state.count('not_a_contact')
      return 2
    }
    const used =
      this.state.get<{ used: number }>(
        'SELECT used FROM quota WHERE external_user_id = ? AND period = ?',
        externalUserId,
        period,
      )?.used ?? 0
    if (used >= limit) {
      this.state.count('refused_by_quota')
      return 3
    }
    this.state.run(
      'INSERT INTO quota VALUES (?, ?, 1) ON CONFLICT (external_user_id, period) DO UPDATE SET used = used + 1',
      externalUserId,
      period,
    )
    return 1
  }

  private populateContact(contact: ScenarioContact, startAt: Date): void {
    const { externalUserId, addedAt, deletedAt } = contact
    this.putContact(contact)
    contact.followUserIds.forEach((id) => {
      const userId = this.memberOf(id).userId
      const { addWay, state, remarkMobiles, tagIds } = contact
      const data = { userId, externalUserId, addWay, remarkMobiles, tagIds, ...(state === undefined ? {} : { state }) }
      if (addedAt > startAt) this.schedule(addedAt, 'add', `${externalUserId}/${userId}`, data)
      else this.putRelation(data, 'active', addedAt)
      if (deletedAt === undefined) return
      if (deletedAt > startAt)
        this.schedule(deletedAt, 'customer_deletes', `${externalUserId}/${userId}`, { userId, externalUserId })
      else this.setStatus(userId, externalUserId, 'customer_deleted')
    })
  }

  putContact(contact: { externalUserId: string; unionId?: string | undefined; name: string; gender: number }): void {
    const { externalUserId, unionId, name, gender } = contact
    this.state.run('INSERT OR IGNORE INTO contact VALUES (?, ?, ?, ?)', externalUserId, unionId ?? null, name, gender)
  }

  private putRelation(
    { userId, externalUserId, addWay, state, remarkMobiles, tagIds }: DueData['add'],
    status: RelationStatus,
    at: Date,
    remark?: string,
  ): void {
    const name =
      remark ??
      this.state.get<{ name: string }>('SELECT name FROM contact WHERE external_user_id = ?', externalUserId)!.name
    this.state.run(
      `INSERT OR REPLACE INTO relation (user_id, external_user_id, status, created_ms, last_ms, add_way, state, remark, remark_mobiles)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      userId, externalUserId, status, at.getTime(), at.getTime(), addWay, state ?? null, name, JSON.stringify(remarkMobiles),
    ) // prettier-ignore
    this.state.run('DELETE FROM relation_tag WHERE user_id = ? AND external_user_id = ?', userId, externalUserId)
    for (const tagId of tagIds)
      this.state.run('INSERT OR IGNORE INTO relation_tag VALUES (?, ?, ?)', userId, externalUserId, tagId)
  }

  private setStatus(userId: string, externalUserId: string, status: RelationStatus): void {
    this.state.run(
      'UPDATE relation SET status = ? WHERE user_id = ? AND external_user_id = ?',
      status,
      userId,
      externalUserId,
    )
  }

  private issueWelcomeCode(userId: string, externalUserId: string, at: Date): string {
    const code = `WELCOME${hashKey(32, this.seed, 'welcome', userId, externalUserId, at.getTime())}`
    this.state.run(
      'INSERT OR REPLACE INTO welcome_code (code, user_id, external_user_id, expires_ms) VALUES (?, ?, ?, ?)',
      code,
      userId,
      externalUserId,
      at.getTime() + WELCOME_CODE_MS,
    )
    return code
  }

  /** An event of `change_external_contact` (page 92130). */
  raiseContactEvent(changeType: string, userId: string, externalUserId: string, at: Date, more: XmlFields = {}): void {
    this.raise(at, {
      ToUserName: this.identity.corpId,
      FromUserName: 'sys',
      CreateTime: Math.floor(at.getTime() / SECOND_MS),
      MsgType: 'event',
      Event: 'change_external_contact',
      ChangeType: changeType,
      UserID: userId,
      ExternalUserID: externalUserId,
      ...more,
    })
  }

  /** Puts a callback into the outbox; it is sent to every app that should get it once the transaction is written. */
  raise(at: Date, fields: XmlFields): void {
    if (this.callsBack()) this.state.run('INSERT INTO outbox (at_ms, body) VALUES (?, ?)', at.getTime(), toXml(fields))
  }

  /** The world does it at `at`; what is there already under the same instant, kind and key is not doubled. */
  schedule<K extends Kind>(at: Date, kind: K, key: string, data: DueData[K]): void {
    this.state.run('INSERT OR IGNORE INTO due VALUES (?, ?, ?, ?)', at.getTime(), kind, key, JSON.stringify(data))
  }

  private memberOf(userId: string): ScenarioMember {
    const member = this.staff.find(userId)
    if (member === undefined) throw new RangeError(`no member "${userId}" in the scenario`)
    return member
  }

  /** What is kept in memory, as the state has it. */
  private restore(): void {
    this.staff.refresh()
    const events = this.state.meta('event_log')
    this.events.restore(events ?? new EventLog().toText())
    this.refreshNextDue()
  }

  private refreshNextDue(): void {
    this.nextDueMs = this.state.get<{ at_ms: number | null }>('SELECT min(at_ms) AS at_ms FROM due')?.at_ms ?? undefined
  }
}

/** Keys of the buttons that call back; the others open a page. */
function buttonKeys(card: CardBody): string[] {
  return (card.button_list ?? []).flatMap(({ type = 0, key }) => (type === 0 && key !== undefined ? [key] : []))
}
