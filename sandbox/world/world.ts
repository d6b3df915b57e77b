import type { SandboxIdentity } from '../identity.js'
import { tagIdsOf, type Scenario } from '../scenario.js'
import type { State } from '../state.js'
import type { DueData, DueKind } from './agenda.js'
import { Cards } from './cards.js'
import { Chats } from './chats.js'
import { Codes } from './codes.js'
import { Core } from './core.js'
import { live } from './deeds.js'
import { drawAmountMinor, drawOwnSendAt, wakingHoursOf } from './draws.js'
import { fillPopulation } from './fill.js'
import { fillContact, fillTags } from './first-day.js'
import { Life } from './life.js'
import type { Answered } from './messages.js'
import { People } from './people.js'
import { Relations } from './relations.js'
import { Sending } from './sending.js'
import { Shop } from './shop.js'
import { Transfers } from './transfers.js'

/** Events in one transaction. */
const BATCH = 1_000
/** What an order is worth on average where the scenario does not say. */
const DEFAULT_ORDER_MINOR = 20_000

/**
 * Members and customers: what is, what they will do, and the callbacks that follow. Everything one event does (state,
 * log, callbacks, the clock's position) is written in one transaction, so a kill leaves it done or not done.
 */
export class World extends Core {
  readonly codes = new Codes(this)
  readonly relations = new Relations(this, this.codes)
  readonly cards = new Cards(this, this.codes)
  readonly chats = new Chats(this)
  readonly transfers = new Transfers(this, this.relations)
  readonly shop = new Shop(this)
  readonly sending = new Sending(this, this.chats)
  /** Members and customers by number, if the scenario has a population and its first day has been written. */
  people: People | undefined
  private life: Life | undefined
  private isWriting = false

  constructor(state: State, seed: number, scenario: Scenario, identity: SandboxIdentity, callsBack: () => boolean) {
    super(state, seed, scenario, identity, callsBack)
    const startedMs = state.meta('started_ms')
    if (startedMs !== undefined) this.meet(new Date(Number(startedMs)))
    this.restore()
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
    fillTags(this, startAt)
    this.state.setMeta('started_ms', String(startAt.getTime()))
    this.meet(startAt)
    for (const contact of this.scenario.contacts) fillContact(this, contact, startAt)
    if (this.people !== undefined) {
      fillPopulation(this.state, this.people)
      this.life!.restore(this.state)
    }
    for (const { userId, resignsAt, ownSendsPerMonth } of this.staff.all) {
      if (ownSendsPerMonth > 0) this.scheduleOwnSend(userId, 0, startAt)
      if (resignsAt === undefined) continue
      if (resignsAt > startAt) this.agenda.schedule(resignsAt, 'resign', userId, { userId })
      else this.staff.resign(userId, resignsAt)
    }
  }

  /** Works out who the population are. */
  private meet(startAt: Date): void {
    const { population, corpTags } = this.scenario
    if (population === undefined) return
    const tagIds = corpTags.flatMap((group) => tagIdsOf(group).tagIds)
    this.people = new People(this.seed, population, startAt, tagIds, wakingHoursOf(this.scenario))
    this.life = new Life(this.seed, this.people)
    this.staff.list(this.people)
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

  /** She leaves the company: her groups wait for a new owner, her customers are still hers until somebody takes over. */
  resign(userId: string, at: Date): boolean {
    if (!this.staff.resign(userId, at)) return false
    this.happened(at, 'resigned', userId)
    for (const chat of this.chats.list({ owners: [userId], limit: Number.MAX_SAFE_INTEGER }))
      this.chats.setStatus(chat.chatId, 1)
    this.raise(at, {
      Event: 'change_contact',
      ChangeType: 'delete_user',
      UserID: userId,
    })
    return true
  }

  private playFirst(at: Date): void {
    const agendaMs = this.agenda.nextAtMs
    const lifeMs = this.life?.nextAtMs
    if (lifeMs === undefined || (agendaMs !== undefined && agendaMs <= lifeMs)) {
      const { kind, data } = this.agenda.take()!
      this.play(kind, data, at)
    } else {
      live(this, this.people!, this.life!.take()!, at)
    }
  }

  private play(kind: DueKind, data: DueData[DueKind], at: Date): void {
    const player = this.players[kind] as (data: DueData[DueKind], at: Date) => void
    player(data, at)
  }

  private readonly players: { [K in DueKind]: (data: DueData[K], at: Date) => void } = {
    add: (d, at) => void this.relations.add(d, at),
    customer_deletes: (d, at) => void this.relations.delete(d.userId, d.externalUserId, 'customer', at),
    confirm: (d, at) => void this.sending.confirm(d.msgid, d.userId, at),
    read: (d, at) => this.sending.read(d, at),
    reply: (d, at) => this.sending.reply(d, d.reply, at),
    click: (d, at) => this.shop.click(d.seq, [d.userId, d.externalUserId, d.msgid], at),
    buy: (d, at) => this.buyBecauseOf(d, at),
    press: (d, at) => void this.cards.press(d.msgid, d.userId, d.key, at),
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
    const at = drawOwnSendAt(this.seed, this.staff.known(userId), this.scenario.timeZone, n, after)
    this.agenda.schedule(at, 'own_send', userId, { userId, n })
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
