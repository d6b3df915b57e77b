import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { WecomEventOf } from '../../domain/wecom/event.js'
import { messageOf } from '../../errors.js'
import { nextValue } from '../../stored/runtime.js'
import type { StoredCallback } from '../../stored/wecom.js'
import type { Deps } from '../runtime/deps.js'

/** When several arrive at once, those of this time more are stored with them. A single one does not wait. */
const GATHER_MS = 10
/** A longer transaction would make the next ones wait. */
const MAX_GROUP = 500
/** Numbers are taken from the counter in blocks; those of a block that is not used up are never used. */
const SEQ_BLOCK = 1_000

export interface CallbackIntake {
  /**
   * Resolves once the message survives a power cut; a repeat (the same key) is stored already. Order of arrival is kept
   * within this process.
   *
   * @throws when it could not be stored: then nothing was
   */
  accept(contentKey: string, message: string): Promise<void>
}

type Waiting = { contentKey: string; message: string; resolve: () => void; reject: (err: unknown) => void }

/** Stores callbacks before they are answered, those of the same moment in one transaction. Nothing is read of them here. */
export function createCallbackIntake({
  docs,
  clock,
  jobs,
  log,
}: Pick<Deps, 'docs' | 'clock' | 'jobs' | 'log'>): CallbackIntake {
  let waiting: Waiting[] = []
  let running: Promise<void> | undefined
  let nextSeq = 1
  let lastSeq = 0

  async function takeSeqs(count: number): Promise<number> {
    if (nextSeq + count - 1 > lastSeq) {
      const size = Math.max(SEQ_BLOCK, count)
      const update = { $inc: { value: size } }
      const counter = await docs.meta.findOneAndUpdate({ _id: 'counter:callback' }, update, { upsert: true })
      lastSeq = counter!.value! // just made, if it was not there
      nextSeq = lastSeq - size + 1
    }
    const first = nextSeq
    nextSeq += count
    return first
  }

  async function store(group: readonly Waiting[]): Promise<void> {
    const first = await takeSeqs(group.length)
    const acceptedAt = clock.now()
    const callbacks = group.map(({ contentKey, message }, i): StoredCallback => {
      const about = aboutOf(message)
      const state = isUrgent(message) ? 'urgent' : 'accepted'
      return { _id: contentKey, seq: first + i, state, acceptedAt, ...(about !== undefined && { about }), message }
    })
    const { refused } = await docs.callbacks.insert(callbacks)
    const again = await noteRepeats(callbacks, new Set(refused))
    if (refused.length === callbacks.length && again === 0) return
    try {
      if (callbacks.some((c) => c.state === 'urgent')) await hint('answer-callbacks')
      await hint('handle-callbacks')
    } catch (err) {
      // They are stored: whoever looks for work finds them.
      log.warn('no hint for stored callbacks', { cause: messageOf(err) })
    }
  }

  /**
   * The same words again may be a repeat of the platform's, or a second edit within one second: nobody can tell. What they speak
   * of is read once more; what they say themselves counts once, by its key.
   */
  async function noteRepeats(callbacks: readonly StoredCallback[], refused: ReadonlySet<string>): Promise<number> {
    const repeats = callbacks.flatMap((callback): StoredCallback[] => {
      const { _id, seq, about } = callback
      if (!refused.has(_id) || about === undefined) return []
      return [{ ...callback, _id: `${_id} ${seq}`, state: 'accepted' }]
    })
    if (repeats.length > 0) await docs.callbacks.insert(repeats)
    return repeats.length
  }

  const hint = (name: string) => jobs.add(name, undefined, { key: name })

  async function run(): Promise<void> {
    await nextTurn()
    while (waiting.length > 0) {
      if (waiting.length > 1) await sleep(GATHER_MS)
      const group = waiting.slice(0, MAX_GROUP)
      waiting = waiting.slice(MAX_GROUP)
      try {
        await store(group)
        for (const { resolve } of group) resolve()
      } catch (err) {
        log.error('callbacks could not be stored', { callbacks: group.length, cause: messageOf(err) })
        for (const { reject } of group) reject(err)
      }
    }
    running = undefined
  }

  return {
    accept: (contentKey, message) =>
      new Promise((resolve, reject) => {
        waiting.push({ contentKey, message, resolve, reject })
        running ??= run()
      }),
  }
}

/**
 * Takes over that a guide closed a task on a page of ours, as the button of its card would. The same key is the same press.
 *
 * @returns whether it is new
 */
export async function acceptCard(
  { docs, clock, jobs }: Pick<Deps, 'docs' | 'clock' | 'jobs'>,
  key: string,
  card: WecomEventOf<'card'>,
): Promise<boolean> {
  if ((await docs.callbacks.get(key)) !== undefined) return false
  const seq = await nextValue(docs.meta, 'callback')
  const { refused } = await docs.callbacks.insert([{ _id: key, seq, state: 'accepted', acceptedAt: clock.now(), card }])
  if (refused.length > 0) return false
  await jobs.add('handle-callbacks', undefined, { key: 'handle-callbacks' })
  return true
}

/** Whether it may carry a welcome code or end a relation; read in full when it is worked on. */
function isUrgent(message: string): boolean {
  return URGENT.test(message)
}
const URGENT = /<WelcomeCode>|del_follow_user|del_external_contact/

/** Found without a parser, since it is done while the platform waits: what is not found is worked on by itself. */
function aboutOf(message: string): string | undefined {
  const contact = CONTACT.exec(message)
  if (contact !== null) return `contact:${contact[1]!}`
  const group = GROUP.exec(message)
  if (group !== null) return `group:${group[1]!}`
  return message.includes('[change_external_tag]') ? 'tags' : undefined
}
const CONTACT = /\[change_external_contact\][^]*<ExternalUserID><!\[CDATA\[([^\]<]{1,64})\]/
const GROUP = /\[change_external_chat\][^]*<ChatId><!\[CDATA\[([^\]<]{1,64})\]/
