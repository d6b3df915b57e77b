import { SECOND_MS } from '../../../../src/time.js'
import type { World } from '../../../world/world.js'
import { openKf, SEND_WINDOW_MS, type Session, tokenAt } from './store.js'

/** Page 95122. */
const WELCOME_CODE_MS = 20 * SECOND_MS

/**
 * A customer opens the chat of a customer-service account, and may write; inside a transaction. The app is called back
 * and fetches what happened by `sync_msg`.
 *
 * @param visit.scene - of the link the customer came through
 * @returns whether the account is there
 */
export function visitKf(
  world: World,
  visit: {
    openKfId: string
    externalUserId: string
    nickname: string
    unionId?: string
    scene?: string
    text?: string
  },
  at: Date,
): boolean {
  const { accounts, sessions, items, codes, visitors } = openKf(world)
  const { openKfId, externalUserId, nickname, unionId, scene = '', text } = visit
  if (accounts.get(openKfId) === undefined) return false
  visitors.put(externalUserId, { nickname, ...(unionId === undefined ? {} : { unionId }) })
  const key = `${openKfId}/${externalUserId}`
  const before = sessions.get(key)
  const isNew = before === undefined || before.state === 4
  const session: Session = isNew ? { openKfId, externalUserId, state: 0, scene, sent: 0 } : { ...before }
  const pair = { open_kfid: openKfId, external_userid: externalUserId }
  const add = (item: { origin: 3 | 4; msgtype: string } & Record<string, unknown>) => {
    const msgid = items.newId('', 32)
    items.put(msgid, { msgid, atMs: at.getTime(), ...pair, ...item })
  }
  if (isNew) {
    // Only who was neither welcomed nor wrote in the last 48 h is welcomed.
    const recent = Math.max(before?.welcomedMs ?? -Infinity, before?.writtenMs ?? -Infinity)
    const welcome = at.getTime() > recent + SEND_WINDOW_MS
    const code = welcome ? codes.newId('', 32) : undefined
    if (code !== undefined) {
      codes.put(code, { session: key, expiresMs: at.getTime() + WELCOME_CODE_MS, used: false })
      session.welcomedMs = at.getTime()
    }
    const event = { event_type: 'enter_session', ...pair, scene, scene_param: '' }
    add({ origin: 4, msgtype: 'event', event: { ...event, ...(code === undefined ? {} : { welcome_code: code }) } })
  }
  if (text !== undefined) {
    session.writtenMs = at.getTime()
    session.sent = 0
    add({ origin: 3, msgtype: 'text', text: { content: text } })
  }
  sessions.put(key, session)
  world.raise(at, {
    FromUserName: undefined,
    Event: 'kf_msg_or_event',
    Token: tokenAt(world, at),
    OpenKfId: openKfId,
  })
  return true
}
