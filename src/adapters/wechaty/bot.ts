import { setTimeout as sleep } from 'node:timers/promises'
import type { Wechaty } from 'wechaty'
import { messageOf } from '../../errors.js'
import type { Log } from '../../log.js'
import type { ChatBot, ChatBotState, ChatSighting } from '../../ports/chat-bot.js'
import { MINUTE_MS, SECOND_MS, type Clock } from '../../time.js'
import type { BuildBot } from './load.js'
import { type BotReader, createBotReader } from './read.js'

export type BotOptions = {
  build: BuildBot
  clock: Clock
  log: Log
  /** Takes sightings over, at most 200 at once; what it throws is logged and the sightings are given again. */
  take: (sightings: readonly ChatSighting[]) => Promise<void>
  /** How the bot stands. */
  onState: (state: ChatBotState) => Promise<void>
  /** How to wait; default real time. */
  pause?: (ms: number, signal: AbortSignal) => Promise<void>
}

const FIRST_PAUSE_MS = SECOND_MS
const MAX_PAUSE_MS = 5 * MINUTE_MS
const START_MS = 2 * MINUTE_MS
const BATCH = 200
/** Seen but not stored yet; beyond it the newest are dropped, and said so. */
const MAX_WAITING = 10_000

/** Runs a bot until it is closed: one that stops is built and started anew, after growing pauses of at most 5 minutes. */
export function runWechatyBot(options: BotOptions): ChatBot {
  const { clock, log } = options
  const closing = new AbortController()
  // A pause can only fail by being ended early, which is what its signal is for.
  const pause = options.pause ?? ((ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined))
  const waiting: ChatSighting[] = []
  let draining: Promise<void> | undefined
  let states: Promise<void> = Promise.resolve()

  /** In order, one after the other. */
  function tell(state: ChatBotState): void {
    states = states.then(() => options.onState(state)).catch((err: unknown) => failed('state', err))
  }

  function failed(what: string, err: unknown): void {
    log.error('wechaty: something seen could not be taken over', { what, cause: messageOf(err) })
  }

  /** Reads one event; a puppet that cannot tell more about it costs this event only. */
  function see(what: string, read: () => Promise<ChatSighting | ChatSighting[] | undefined>): void {
    read().then(
      (seen) => {
        const sightings = seen === undefined ? [] : [seen].flat()
        if (waiting.length + sightings.length > MAX_WAITING) failed(what, new RangeError('too much waits to be stored'))
        else waiting.push(...sightings)
        draining ??= drain().finally(() => (draining = undefined))
      },
      (err: unknown) => failed(what, err),
    )
  }

  async function drain(): Promise<void> {
    for (let pauseMs = FIRST_PAUSE_MS; waiting.length > 0;) {
      const batch = waiting.slice(0, BATCH)
      try {
        await options.take(batch)
        waiting.splice(0, batch.length)
        pauseMs = FIRST_PAUSE_MS
      } catch (err) {
        failed('batch', err)
        if (closing.signal.aborted) return
        await pause(pauseMs, closing.signal)
        pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)
      }
    }
  }

  function listen(bot: Wechaty, ended: () => void): void {
    const now = (date?: Date) => date ?? clock.now()
    // It asks the puppet for its name, which is there once the bot starts.
    let made: BotReader | undefined
    const reader = () => (made ??= createBotReader(bot))
    bot.on('scan', () => tell('waiting_for_scan'))
    bot.on('login', () => tell('signed_in'))
    bot.on('logout', () => tell('signed_out'))
    bot.on('message', (message) => see('message', () => reader().message(message)))
    bot.on('friendship', (friendship) => see('friendship', () => reader().friendship(friendship, now())))
    bot.on('room-join', (room, people, _inviter, date) =>
      see('room', () => reader().room('joined', room, people, now(date))),
    )
    bot.on('room-leave', (room, people, _remover, date) =>
      see('room', () => reader().room('left', room, people, now(date))),
    )
    bot.on('room-topic', (room, _new, _old, changer, date) =>
      see('room', () => reader().room('renamed', room, [changer], now(date))),
    )
    // Puppets report much that mends itself; the end of the bot is told by `stop`.
    bot.on('error', (err) => log.warn('wechaty', { cause: messageOf(err) }))
    bot.on('stop', ended)
  }

  /** One life of a bot. @returns whether it had started */
  async function live(): Promise<boolean> {
    let bot: Wechaty | undefined
    try {
      tell('starting')
      bot = options.build()
      const ended = endOf(bot)
      await within(START_MS, bot.start())
      await ended
      return true
    } catch (err) {
      log.warn('wechaty could not be started', { cause: messageOf(err) })
      return false
    } finally {
      await within(START_MS, bot?.stop() ?? Promise.resolve()).catch((err: unknown) =>
        log.warn('wechaty could not be stopped', { cause: messageOf(err) }),
      )
    }
  }

  /** Listens until the bot stops or is to be closed. */
  function endOf(bot: Wechaty): Promise<void> {
    return new Promise((resolve) => {
      closing.signal.addEventListener('abort', () => resolve(), { once: true })
      listen(bot, resolve)
    })
  }

  async function run(): Promise<void> {
    for (let failures = 0; !closing.signal.aborted;) {
      const started = await live()
      if (closing.signal.aborted) break
      failures = started ? 0 : failures + 1
      if (failures === 5) log.error('wechaty needs a person: five starts in a row failed; see the warnings before')
      await pause(Math.min(FIRST_PAUSE_MS * 2 ** failures, MAX_PAUSE_MS), closing.signal)
    }
  }

  const running = run().catch((err: unknown) => log.error('wechaty ended', { cause: messageOf(err) }))
  return {
    async close() {
      closing.abort()
      await running
      await draining
      tell('stopped')
      await states
    },
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const late = sleep(ms, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new RangeError(`no end within ${ms} ms`)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    timer.abort()
    late.catch(() => undefined) // ended early, on purpose
  }
}
