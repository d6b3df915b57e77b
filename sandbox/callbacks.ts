import { messageOf, UpstreamError } from '../src/errors.js'
import type { Log } from '../src/log.js'
import { hashKey, intOf } from '../src/random.js'
import { SECOND_MS, systemClock } from '../src/time.js'
import type { SandboxClock } from './clock.js'
import { encrypt, signatureOf } from './crypto.js'
import type { Faults } from './http/core/faults.js'
import { sees } from './http/wecom/visibility.js'
import type { App } from './identity.js'
import { Poster } from './post.js'
import type { World } from './world/world.js'
import { toXml } from './xml.js'

/** Page 90930: the platform hangs up after 5 s and sends again. Its pauses are not documented; ours are short. */
const TIMEOUT_MS = 5 * SECOND_MS
const PAUSES_MS = [50, 200, 800]
/** Page 90930: the URL check must be answered within 1 s. */
const VERIFY_TIMEOUT_MS = SECOND_MS
const BATCH = 1_000
/** A callback that is sent out of order waits at most so long by the sandbox's clock. */
const REORDER_MS = 5 * SECOND_MS
const KEPT = 300

type Waiting = { seq: number; body: string }
type Outcome = 'delivered' | 'lost'
/** One callback as it was sent, for the page. */
export type SentCallback = { at: Date; app: string; body: string; outcome: Outcome | 'refused'; problem?: string }

export type SenderParts = {
  world: World
  clock: SandboxClock
  faults: Faults
  /** Callbacks on their way at once; those of one customer always follow each other. */
  queues: number
  /** Per receiver. */
  connections: number
  log: Log
}

/**
 * Delivers the outbox to the apps. A body that was not acknowledged is sent again, byte for byte. With one queue the
 * order is that of the outbox; with several it is kept per customer.
 */
export class CallbackSender {
  private readonly stopping = new AbortController()
  private readonly poster: Poster
  /** Callbacks that a fault holds back, with the instant until which. */
  private readonly held = new Map<number, number>()
  /** Fault of a callback that has had its draw. */
  private readonly drawn = new Map<number, 'duplicate' | 'drop' | undefined>()
  /** Apps that have acknowledged a callback that others have not. */
  private readonly acknowledged = new Map<number, Set<string>>()
  private readonly sent: SentCallback[] = []
  private readonly urls = new Map<string, URL>()

  constructor(private readonly parts: SenderParts) {
    this.poster = new Poster(parts.connections)
  }

  /** Whether anybody is called back at all. */
  get hasReceiver(): boolean {
    const { apps, contactSync } = this.parts.world.identity
    return contactSync.callbackUrl !== undefined || apps.some((app) => app.callbackUrl !== undefined)
  }

  /** When the first callback that is held back may go. */
  get nextHeldMs(): number | undefined {
    return this.held.size === 0 ? undefined : Math.min(...this.held.values())
  }

  /** What was sent last, newest first. */
  get last(): readonly SentCallback[] {
    return [...this.sent].reverse()
  }

  /**
   * Sends all that waits.
   *
   * @param giveUp - true: a callback that was not acknowledged is lost, as on the platform; false: it waits and the error is thrown
   * @throws {UpstreamError} when a receiver cannot be reached or does not answer 200
   */
  async deliver(giveUp: boolean): Promise<void> {
    const { state } = this.parts.world
    for (let after = 0; ;) {
      const rows = state.many<Waiting>('SELECT seq, body FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?', after, BATCH)
      if (rows.length === 0 || this.stopping.signal.aborted) return
      after = rows.at(-1)!.seq
      const due = rows.filter((row) => this.mayGo(row))
      const outcomes = new Map<number, Outcome>()
      let failure: string | undefined
      const work = async (queue: readonly Waiting[]): Promise<void> => {
        for (const row of queue) {
          if (failure !== undefined || this.stopping.signal.aborted) return
          const problem = await this.sendToAll(row)
          if (problem === undefined) outcomes.set(row.seq, 'delivered')
          else if (this.stopping.signal.aborted)
            return // it waits for the next start
          else if (giveUp) {
            outcomes.set(row.seq, 'lost')
            this.parts.log.warn('callback lost', { seq: row.seq, reason: problem })
          } else failure = problem
        }
      }
      await Promise.all(this.queuesOf(due).map(work))
      this.settle(outcomes)
      if (failure !== undefined && !this.stopping.signal.aborted) {
        throw new UpstreamError(
          'callback receiver',
          'undelivered',
          true,
          `${failure}. Start the receiver and advance again`,
        )
      }
    }
  }

  /** The check that the platform makes when an administrator saves the URL (page 90930). @returns what is wrong, if anything. */
  async verify(app: App): Promise<string | undefined> {
    if (app.callbackUrl === undefined) return 'no callback URL is set'
    const echo = hashKey(20, this.parts.world.seed, 'echo', this.parts.clock.now().getTime()).replace(/[a-f]/g, '7')
    const { query, encrypted } = this.sign(app, echo)
    const asking = `${query}&echostr=${encodeURIComponent(encrypted)}`
    try {
      const reply = await this.poster.send('GET', new URL(app.callbackUrl), asking, '', VERIFY_TIMEOUT_MS)
      if (reply.status !== 200) return `answered HTTP ${reply.status} instead of 200`
      return reply.body === echo ? undefined : 'did not answer with the decrypted echostr and nothing else'
    } catch (err) {
      return messageOf(err)
    }
  }

  /** Hangs up; what was not acknowledged keeps waiting. */
  stop(): void {
    this.stopping.abort()
    this.poster.close()
  }

  /** Each callback draws its fault once. */
  private mayGo({ seq, body }: Waiting): boolean {
    const nowMs = this.parts.clock.now().getTime()
    const untilMs = this.held.get(seq)
    if (untilMs !== undefined) {
      if (nowMs < untilMs) return false
      this.held.delete(seq)
      return true
    }
    if (this.drawn.has(seq)) return true
    const fault = this.parts.faults.takeCallback(body)
    const isLate = fault?.kind === 'callback_delay' || fault?.kind === 'callback_reorder'
    this.drawn.set(
      seq,
      fault === undefined || isLate ? undefined : fault.kind === 'callback_drop' ? 'drop' : 'duplicate',
    )
    if (!isLate) return true
    const lateMs = fault.kind === 'callback_delay' ? fault.ms : 1 + intOf(REORDER_MS, fault.seed, 'reorder', body)
    this.held.set(seq, nowMs + lateMs)
    return false
  }

  /** What concerns the same customer is in the same queue. */
  private queuesOf(rows: readonly Waiting[]): Waiting[][] {
    if (this.parts.queues === 1 || rows.length === 1) return [[...rows]]
    const queues: Waiting[][] = Array.from({ length: this.parts.queues }, () => [])
    for (const row of rows) queues[queueOf(subjectOf(row.body), queues.length)]!.push(row)
    return queues.filter((queue) => queue.length > 0)
  }

  /** @returns what is wrong when not every app has it */
  private async sendToAll(row: Waiting): Promise<string | undefined> {
    const fault = this.drawn.get(row.seq)
    if (fault === 'drop') return undefined
    const done = this.acknowledged.get(row.seq)
    const problems: string[] = []
    for (const app of this.receiversOf(row.body)) {
      if (done?.has(app.name) === true) continue
      const problem = await this.sendWithRetry(app, row)
      if (problem === undefined) {
        if (fault === 'duplicate') await this.sendWithRetry(app, row)
        this.acknowledge(row.seq, app.name)
      } else problems.push(`${app.callbackUrl ?? app.name} did not acknowledge: ${problem}`)
    }
    return problems[0]
  }

  private acknowledge(seq: number, app: string): void {
    const done = this.acknowledged.get(seq)
    if (done === undefined) this.acknowledged.set(seq, new Set([app]))
    else done.add(app)
  }

  /** Events of an app go to that app; a customer's to every app that may know; members' to everybody who listens. */
  private receiversOf(body: string): App[] {
    const { world } = this.parts
    const { apps, contactSync } = world.identity
    const agentId = Number(/<AgentID>(\d+)<\/AgentID>/.exec(body)?.[1] ?? 0)
    const listening = [...apps, contactSync].filter((app) => app.callbackUrl !== undefined && !app.disabled)
    if (agentId !== 0) return listening.filter((app) => app.agentId === agentId)
    if (body.includes('<Event><![CDATA[change_contact]]></Event>')) return listening
    const userId = /<UserID><!\[CDATA\[([^\]]*)\]\]><\/UserID>/.exec(body)?.[1]
    return listening.filter((app) => app.customerContact && (userId === undefined || sees(world, app, userId)))
  }

  private async sendWithRetry(app: App, waiting: Waiting): Promise<string | undefined> {
    const { callbackDeliveries } = this.parts.world.scenario.behaviour
    let failure = await this.send(app, waiting)
    for (const pauseMs of PAUSES_MS.slice(0, callbackDeliveries - 1)) {
      if (failure === undefined || !failure.isRetried || this.stopping.signal.aborted) break
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
      failure = await this.send(app, waiting)
    }
    this.remember(app, waiting.body, failure === undefined ? 'delivered' : 'refused', failure?.reason)
    return failure?.reason
  }

  private async send(app: App, { body }: Waiting): Promise<{ reason: string; isRetried: boolean } | undefined> {
    const to = app.callbackUrl
    if (to === undefined) return { reason: 'no callback URL is set', isRetried: true }
    const { query, encrypted } = this.sign(app, this.skewed(body))
    const { corpId } = this.parts.world.identity
    const envelope = toXml({
      ToUserName: corpId,
      AgentID: app.agentId === 0 ? '' : String(app.agentId),
      Encrypt: encrypted,
    })
    try {
      const { status } = await this.poster.send('POST', this.urlOf(to), query, envelope, TIMEOUT_MS)
      if (status === 200) return undefined
      const isRetried = this.parts.world.scenario.behaviour.callbackRetry === 'any_non_200'
      return { reason: `answered HTTP ${status}`, isRetried }
    } catch (err) {
      return { reason: messageOf(err), isRetried: true }
    }
  }

  /** A platform whose clock is off says so in what it sends. */
  private skewed(body: string): string {
    const { skewMs } = this.parts.faults
    if (skewMs === 0) return body
    return body.replace(
      /<CreateTime>(\d+)<\/CreateTime>/,
      (_, seconds: string) => `<CreateTime>${Number(seconds) + Math.round(skewMs / SECOND_MS)}</CreateTime>`,
    )
  }

  /** Random bytes and nonce are hashes of the message: the same callback is the same request, whenever it is sent. */
  private sign(app: App, message: string): { query: string; encrypted: string } {
    const { world, clock, faults } = this.parts
    const { token, encodingAesKey } = app.callback
    const digest = hashKey(40, world.seed, 'callback', app.name, message)
    const random = Buffer.from(digest.slice(0, 16), 'ascii')
    const encrypted = encrypt(encodingAesKey, message, world.identity.corpId, random)
    const stamps = world.scenario.behaviour.callbackTimestamps ?? (clock.kind === 'fast' ? 'wall' : 'clock')
    const now = stamps === 'wall' ? systemClock.now() : clock.now()
    const timestamp = String(Math.floor((now.getTime() + faults.skewMs) / SECOND_MS))
    const nonce = String(1_000_000_000 + (Number.parseInt(digest.slice(16, 28), 16) % 900_000_000))
    const signature = signatureOf(token, timestamp, nonce, encrypted)
    return { query: `msg_signature=${signature}&timestamp=${timestamp}&nonce=${nonce}`, encrypted }
  }

  /** Parsed once. */
  private urlOf(text: string): URL {
    let url = this.urls.get(text)
    if (url === undefined) this.urls.set(text, (url = new URL(text)))
    return url
  }

  private remember(app: App, body: string, outcome: SentCallback['outcome'], problem: string | undefined): void {
    if (this.sent.length >= KEPT) this.sent.shift()
    const at = this.parts.clock.now()
    this.sent.push({ at, app: app.name, body, outcome, ...(problem === undefined ? {} : { problem }) })
  }

  /** What is settled leaves the outbox. */
  private settle(outcomes: ReadonlyMap<number, Outcome>): void {
    const { state } = this.parts.world
    state.tx(() => {
      for (const [seq, outcome] of outcomes) {
        state.change('DELETE FROM outbox WHERE seq IN (SELECT value ->> 0 FROM json_each(?))', [seq])
        state.count(`callbacks:${this.drawn.get(seq) === 'drop' ? 'lost' : outcome}`)
        this.drawn.delete(seq)
        this.acknowledged.delete(seq)
      }
    })
  }
}

/** Whom or what a callback is about: what must stay in order. */
function subjectOf(body: string): string {
  return /<(ExternalUserID|ChatId|TaskId|TagType|UserID)><!\[CDATA\[([^\]]*)\]\]>/.exec(body)?.[2] ?? ''
}

/** FNV-1a: spreads well and costs little. */
function queueOf(subject: string, queues: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < subject.length; i++) hash = Math.imul(hash ^ subject.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % queues
}
