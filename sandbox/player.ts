import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Log } from '../src/log.js'
import { DAY_MS } from '../src/time.js'
import type { CallbackSender } from './callbacks.js'
import type { SandboxClock } from './clock.js'
import type { PaySender } from './http/pay/outbox.js'
import type { World } from './world/world.js'

/** Events in one transaction while a slice is played: nobody asks for anything meanwhile. */
const SLICE_BATCH = 5_000

export type PlayerParts = {
  world: World
  clock: SandboxClock
  callbacks: CallbackSender
  paySender: PaySender
  /** Callbacks on their way at once. */
  queues: number
  /** How much of time is played before callbacks are sent, with several queues. */
  sliceMs: number
  /** An advance plays on while callbacks are on their way. */
  isBeside: boolean
  log: Log
}

/** Moves the world with the clock, and sends what it raises: a stepped clock when it is told to, any other by itself. */
export class Player {
  readonly isStepped: boolean
  private stopping = false
  private delivering = false
  private askedAgain = false
  /** One advance at a time. */
  private tail: Promise<unknown> = Promise.resolve()
  /** The callbacks that are on their way beside the world; whoever waits for them has their error. */
  private beside: Promise<void> = Promise.resolve()
  private wakeMs = Infinity
  private waking = new AbortController()

  constructor(private readonly parts: PlayerParts) {
    this.isStepped = parts.clock.kind === 'step'
  }

  get isStopping(): boolean {
    return this.stopping
  }

  advanceTo(to: Date): Promise<void> {
    const turn = this.tail.then(() => (this.isStepped ? this.step(to) : this.catchUp()))
    this.tail = turn.catch(() => undefined) // whoever asked for that turn has the error
    return turn
  }

  /** With a clock that moves by itself: plays what is due, until `stop`. */
  live(): void {
    if (!this.isStepped) this.wakeUp().catch(this.report)
  }

  /** Something may be due earlier than was thought. */
  changed(): void {
    if (this.isStepped || this.stopping) return
    if (this.dueMs() < this.wakeMs) this.waking.abort()
    if (this.parts.callbacks.hasReceiver) this.deliver().catch(this.report)
  }

  /** Sends the callbacks of what somebody just did. */
  async act(): Promise<void> {
    if (this.isStepped) return this.deliver()
    this.changed()
    await this.deliver()
  }

  /** Nothing is played or sent any more; resolves when what was under way has ended. */
  async stop(): Promise<void> {
    this.stopping = true
    this.waking.abort()
    this.parts.callbacks.stop()
    this.parts.paySender.stop()
    await this.tail
  }

  /** Whoever asks while a delivery runs need not wait for it: the running one takes along what is new. */
  private async deliver(): Promise<void> {
    const { clock, callbacks, paySender } = this.parts
    this.askedAgain = true
    if (this.delivering) return
    this.delivering = true
    try {
      while (this.askedAgain && !this.stopping) {
        this.askedAgain = false
        const sent = callbacks.deliver(!this.isStepped).then(() => paySender.deliver())
        await (clock.hold === undefined ? sent : clock.hold(sent))
      }
    } finally {
      this.delivering = false
    }
  }

  private async step(to: Date): Promise<void> {
    const { world, clock, callbacks, paySender, queues, sliceMs, isBeside } = this.parts
    if (!isBeside || to <= clock.now()) await this.deliverAll()
    while (!this.stopping) {
      const heldMs = earliest(callbacks.nextHeldMs, paySender.nextMs)
      if (heldMs !== undefined && heldMs <= Math.min(to.getTime(), world.nextAtMs ?? Infinity)) {
        clock.set(Math.max(heldMs, clock.now().getTime()))
      } else {
        const at = world.playNext(to)
        if (at === undefined) break
        clock.set(at.getTime())
        if (queues > 1) await this.playSlice(new Date(Math.min(to.getTime(), at.getTime() + sliceMs)))
      }
      if (isBeside) await this.sendBeside()
      else await this.deliver()
    }
    if (this.stopping || to <= clock.now()) return
    world.state.setMeta('now_ms', String(to.getTime()))
    clock.set(to.getTime())
  }

  private async playSlice(to: Date): Promise<void> {
    const { world, clock, isBeside } = this.parts
    for (let at: Date | undefined; (at = world.playNext(to, true, SLICE_BATCH)) !== undefined;) {
      clock.set(at.getTime())
      if (isBeside) await nextTurn()
    }
  }

  private async sendBeside(): Promise<void> {
    await this.deliverAll(false)
    this.beside = this.deliver()
    this.beside.catch(() => undefined) // told to the next who waits
  }

  private async deliverAll(more = true): Promise<void> {
    const before = this.beside
    this.beside = Promise.resolve()
    await before
    if (more) await this.deliver()
  }

  private async catchUp(): Promise<void> {
    const { world, clock } = this.parts
    while (!this.stopping && world.playNext(clock.now(), true) !== undefined) await nextTurn()
    if (!this.stopping) this.deliver().catch(this.report)
  }

  /** Wakes the world when something is due; `changed` tells it that this may be earlier than it thought. */
  private async wakeUp(): Promise<void> {
    const { clock } = this.parts
    while (!this.stopping) {
      this.waking = new AbortController()
      this.wakeMs = this.dueMs()
      const waitMs = Math.min(this.wakeMs - clock.now().getTime(), DAY_MS)
      if (this.wakeMs === Infinity) await aborted(this.waking.signal)
      else if (waitMs > 0) await clock.sleep(waitMs, this.waking.signal)
      await this.advanceTo(clock.now())
    }
  }

  private dueMs(): number {
    const { world, callbacks, paySender } = this.parts
    return earliest(world.nextAtMs, callbacks.nextHeldMs, paySender.nextMs) ?? Infinity
  }

  private readonly report = (err: unknown): void =>
    this.parts.log.error('sandbox world stopped', {
      cause: err instanceof Error ? (err.stack ?? err.message) : String(err),
    })
}

function earliest(...times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
