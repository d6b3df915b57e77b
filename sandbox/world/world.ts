import { hashKey } from '../../src/random.js'
import { DAY_MS, SECOND_MS } from '../../src/time.js'
import type { SandboxIdentity } from '../identity.js'
import {
  tagIdsOf,
  type Scenario,
  type ScenarioContact,
  type ScenarioDepartment,
  type ScenarioMember,
} from '../scenario.js'
import type { State } from '../state.js'
import { toXml, type XmlFields } from '../xml.js'
import { Agenda } from './agenda.js'
import { Chats } from './chats.js'
import { drawAmountMinor, drawButton, drawHandledAt, drawOwnSendAt, type ReplyKind, wakingHoursOf } from './draws.js'
import { EventLog } from './event-log.js'
import { fillPopulation } from './fill.js'
import { Life, live } from './life.js'
import { People } from './people.js'
import { type Answered, type Message, Sending, type Unread } from './sending.js'
import { Shop } from './shop.js'
import { Staff } from './staff.js'
import { Transfers } from './transfers.js'

/** Page 92137: a welcome code lives 20 s. */
const WELCOME_CODE_MS = 20 * SECOND_MS
/** Page 94888 (2025-09): a response code lives 72 h. */
const RESPONSE_CODE_MS = 3 * DAY_MS

/** Events in one transaction. */
const BATCH = 1_000
/** What an order is worth on average where the scenario does not say. */
const DEFAULT_ORDER_MINOR = 20_000

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
  read: Unread
  reply: Answered & { reply: ReplyKind }
  click: Answered
  buy: Answered
  own_send: { userId: string; n: number }
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
  button_selection?: CardQuestion
  select_list?: CardQuestion[]
  checkbox?: CardQuestion
}
type CardQuestion = {
  question_key: string
  selected_id?: string
  option_list: { id: string; is_checked?: boolean }[]
}
/** What a guide ticks in a card: option ids by question key. */
export type Selected = Readonly<Record<string, readonly string[]>>

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
  readonly chats = new Chats(this)
  readonly transfers = new Transfers(this)
  readonly shop = new Shop(this)
  readonly sending = new Sending(this)
  readonly events = new EventLog()
  readonly agenda: Agenda
  /** Everybody who works or worked here, listed or of the population. */
  staff: Staff
  /** Members and customers by number, if the scenario has a population and its first day has been written. */
  people: People | undefined
  private life: Life | undefined
  private isWriting = false
  private raised = 0

  constructor(
    readonly state: State,
    readonly seed: number,
    readonly scenario: Scenario,
    readonly identity: SandboxIdentity,
    /** Nobody is called back while there is no receiver. */
    private readonly callsBack: () => boolean,
  ) {
    this.agenda = new Agenda(state)
    this.staff = new Staff(state, scenario.members)
    const startedMs = state.meta('started_ms')
    if (startedMs !== undefined) this.meet(new Date(Number(startedMs)))
    this.restore()
  }

  /** The root first. */
  get departments(): readonly ScenarioDepartment[] {
    return this.staff.departments([...this.scenario.departments, ...(this.people?.departments ?? [])])
  }

  /** Somebody who works here now. User ids are case-insensitive on input. */
  member(userId: string): ScenarioMember | undefined {
    const member = this.staff.find(userId)
    return member === undefined || this.staff.leftAt(member.userId) !== undefined ? undefined : member
  }

  /** When something happens next. */
  get nextAtMs(): number | undefined {
    const agendaMs = this.agenda.nextAtMs
    const lifeMs = this.life?.nextAtMs
    if (agendaMs === undefined || lifeMs === undefined) return agendaMs ?? lifeMs
    return Math.min(agendaMs, lifeMs)
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
    this.state.setMeta('started_ms', String(startAt.getTime()))
    this.meet(startAt)
    for (const contact of contacts) this.populateContact(contact, startAt)
    if (this.people !== undefined) {
      fillPopulation(this.state, this.people)
      this.life!.restore(this.state)
    }
    for (const { userId, resignsAt, ownSendsPerMonth } of this.staff.all) {
      if (ownSendsPerMonth > 0) this.scheduleOwnSend(userId, 0, startAt)
      if (resignsAt === undefined) continue
      if (resignsAt > startAt) this.schedule(resignsAt, 'resign', userId, { userId })
      else this.staff.resign(userId, resignsAt)
    }
  }

  /** Works out who the population are. */
  private meet(startAt: Date): void {
    const { population, members, corpTags } = this.scenario
    if (population === undefined) return
    const tagIds = corpTags.flatMap((group) => tagIdsOf(group).tagIds)
    this.people = new People(this.seed, population, startAt, tagIds, wakingHoursOf(this.scenario))
    this.life = new Life(this.seed, this.people)
    this.staff = new Staff(this.state, [...members, ...this.people.members])
  }

  /**
   * Plays what is due by `to`, in time order and many events in one transaction, up to the first that calls somebody
   * back: he may do something at that very instant.
   *
   * @param past - true: goes on past events that call back
   * @param most - events in one transaction; with more, less is written, and nobody is answered for longer
   * @returns the instant of the last one, `undefined` when nothing is due
   */
  playNext(to: Date, past = false, most = BATCH): Date | undefined {
    const toMs = to.getTime()
    const nextMs = this.nextAtMs
    if (nextMs === undefined || nextMs > toMs) return undefined
    return this.write(() => {
      let nowMs = Number(this.state.meta('now_ms'))
      const raisedBefore = this.raised
      for (let n = 0; n < most; n++) {
        const atMs = this.nextAtMs
        if (atMs === undefined || atMs > toMs) break
        // An event that became due while the clock stood elsewhere never turns the clock back.
        nowMs = Math.max(atMs, nowMs)
        this.playFirst(new Date(nowMs))
        if (!past && this.raised > raisedBefore) break
      }
      this.state.setMeta('now_ms', String(nowMs))
      return new Date(nowMs)
    })
  }

  /** One transaction. Inside another one it joins that. */
  write<T>(work: () => T): T {
    if (this.isWriting) return work()
    this.isWriting = true
    const log = this.events.toText()
    const { changes } = this.agenda
    try {
      return this.state.tx(() => {
        const result = work()
        this.agenda.forget()
        this.life?.flush(this.state)
        const after = this.events.toText()
        if (after !== log) this.state.setMeta('event_log', after)
        return result
      })
    } catch (err) {
      this.events.restore(log)
      this.staff.refresh()
      this.sending.forget()
      if (this.agenda.changes !== changes || this.life?.isChanged === true) this.restore()
      throw err
    } finally {
      this.isWriting = false
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
    this.setStatus(userId, externalUserId, by === 'customer' ? 'customer_deleted' : 'member_deleted', at)
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
   * @param only - the customers or groups she leaves ticked; the others stay unsent. Default: all, but for her habits.
   * @returns whether her task was still waiting.
   */
  confirm(msgid: string, userId: string, at: Date, only?: ReadonlySet<string>): boolean {
    return this.sending.confirm(msgid, userId, at, only)
  }

  /** Puts a message before a customer, who may read it. */
  deliver(message: Message, at: Date): void {
    this.sending.deliver(message, at)
  }

  /** Whether a customer or group may get one more mass message in the current period. */
  hasQuota(id: string, at: Date): boolean {
    return this.sending.hasQuota(id, at)
  }

  /**
   * A guide presses a button of a card she was sent; the app is called back.
   * @param selected - option ids by question key; a question left out keeps what the card has selected
   * @returns whether the card was there, offered that key, and its buttons were still alive.
   */
  press(msgid: string, userId: string, key: string, at: Date, selected: Selected = {}): boolean {
    const row = this.state.get<{ task_id: string; body: string; recalled: number; agent_id: number }>(
      'SELECT task_id, body, recalled, agent_id FROM app_message WHERE msgid = ? AND task_id IS NOT NULL',
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
    const isMenu = (card.action_menu?.action_list ?? []).some((item) => item.key === key)
    this.happened(at, 'pressed', userId, row.task_id, key)
    this.raise(at, {
      ToUserName: this.identity.corpId,
      FromUserName: userId,
      CreateTime: Math.floor(at.getTime() / SECOND_MS),
      MsgType: 'event',
      Event: isMenu ? 'template_card_menu_event' : 'template_card_event',
      EventKey: key,
      TaskId: row.task_id,
      CardType: card.card_type,
      ResponseCode: code,
      AgentID: row.agent_id,
      SelectedItems: isMenu ? undefined : selectedItems(card, selected),
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

  private playFirst(at: Date): void {
    const agendaMs = this.agenda.nextAtMs
    const lifeMs = this.life?.nextAtMs
    if (lifeMs === undefined || (agendaMs !== undefined && agendaMs <= lifeMs)) {
      const { kind, data } = this.agenda.take()!
      this.play(kind as Kind, data as DueData[Kind], at)
    } else {
      live(this, this.people!, this.life!.take()!, at)
    }
  }

  private play(kind: Kind, data: DueData[Kind], at: Date): void {
    const player = this.players[kind] as (data: DueData[Kind], at: Date) => void
    player(data, at)
  }

  private readonly players: { [K in Kind]: (data: DueData[K], at: Date) => void } = {
    add: (d, at) => void this.addContact(d, at),
    customer_deletes: (d, at) => void this.deleteContact(d.userId, d.externalUserId, 'customer', at),
    confirm: (d, at) => void this.confirm(d.msgid, d.userId, at),
    read: (d, at) => this.sending.read(d, at),
    reply: (d, at) => this.sending.reply(d, d.reply, at),
    click: (d, at) => this.shop.click(d.seq, [d.userId, d.externalUserId, d.msgid], at),
    buy: (d, at) => this.buyBecauseOf(d, at),
    press: (d, at) => void this.press(d.msgid, d.userId, d.key, at),
    own_send: (d, at) => this.ownSend(d.userId, d.n, at),
    takeover: (d, at) => this.transfers.carryOut(d.seq, at),
    resign: (d, at) => void this.resign(d.userId, at),
  }

  private buyBecauseOf({ seq, msgid, userId, externalUserId }: Answered, at: Date): void {
    const mean = this.scenario.population?.orderMinor.mean ?? DEFAULT_ORDER_MINOR
    const amountMinor = drawAmountMinor(this.seed, mean, externalUserId, msgid)
    this.shop.buy({ externalUserId, userId, amountMinor, delivery: seq }, `${userId}/${msgid}`, at)
  }

  private ownSend(userId: string, n: number, at: Date): void {
    if (this.staff.leftAt(userId) !== undefined) return
    this.sending.sendOwn(userId, n, at)
    this.scheduleOwnSend(userId, n + 1, at)
  }

  private scheduleOwnSend(userId: string, n: number, after: Date): void {
    const at = drawOwnSendAt(this.seed, this.memberOf(userId), this.scenario.timeZone, n, after)
    this.schedule(at, 'own_send', userId, { userId, n })
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

  /** @param at - given: the last that happened between the two */
  private setStatus(userId: string, externalUserId: string, status: RelationStatus, at?: Date): void {
    this.state.run(
      'UPDATE relation SET status = ?, last_ms = coalesce(?, last_ms) WHERE user_id = ? AND external_user_id = ?',
      status,
      at?.getTime() ?? null,
      userId,
      externalUserId,
    )
  }

  /** None for a member who is not in WeCom: she could not send it (staff answer). */
  private issueWelcomeCode(userId: string, externalUserId: string, at: Date): string | undefined {
    if (!this.memberOf(userId).isActivated) return undefined
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
    if (!this.callsBack()) return
    this.raised++
    this.state.append('outbox (at_ms, body)', [at.getTime(), toXml(fields)])
  }

  /** The world does it at `at`; what is there already under the same instant, kind and key is not doubled. */
  schedule<K extends Kind>(at: Date, kind: K, key: string, data: DueData[K]): void {
    this.agenda.add(at.getTime(), kind, key, data)
  }

  private memberOf(userId: string): ScenarioMember {
    const member = this.staff.find(userId)
    if (member === undefined) throw new RangeError(`no member "${userId}" in the scenario`)
    return member
  }

  /** What is kept in memory, as the state has it. */
  private restore(): void {
    const events = this.state.meta('event_log')
    if (events !== undefined) this.events.restore(events)
    this.staff.refresh()
    this.agenda.restore()
    this.sending.restore()
    this.life?.restore(this.state)
  }
}

/** Keys of the buttons that call back; the others open a page. */
function buttonKeys(card: CardBody): string[] {
  return (card.button_list ?? []).flatMap(({ type = 0, key }) => (type === 0 && key !== undefined ? [key] : []))
}

/** The answers of a card, as its callback tells them; `undefined` when it asks nothing. */
function selectedItems(card: CardBody, selected: Selected): XmlFields | undefined {
  const questions = [card.button_selection, card.checkbox, ...(card.select_list ?? [])].filter((q) => q !== undefined)
  if (questions.length === 0) return undefined
  const chosen = (question: CardQuestion): readonly string[] => {
    const { question_key: key, option_list: options, selected_id: id } = question
    if (selected[key] !== undefined) return selected[key]
    if (question === card.checkbox) return options.filter((o) => o.is_checked === true).map((o) => o.id)
    return [id ?? options[0]?.id ?? '']
  }
  return {
    SelectedItem: questions.map((q) => ({ QuestionKey: q.question_key, OptionIds: { OptionId: [...chosen(q)] } })),
  }
}
