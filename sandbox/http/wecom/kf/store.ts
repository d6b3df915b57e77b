import { hashKey } from '../../../../src/random.js'
import { HOUR_MS, MINUTE_MS } from '../../../../src/time.js'
import { openObjects } from '../../../objects.js'
import type { World } from '../../../world/world.js'
import { OptionalText, Refusal } from '../../core/endpoint.js'

/** How long a customer can be written to after she wrote (page 94677). */
export const SEND_WINDOW_MS = 48 * HOUR_MS
/** Of a callback, for `sync_msg` (page 94670). */
const TOKEN_MS = 10 * MINUTE_MS

export const KF_PATH = '/cgi-bin/kf'
/** The field by which nearly every call names an account. */
export const AccountId = { open_kfid: OptionalText }

/** 0 untouched, 1 bot, 2 queue, 3 human, 4 ended. */
export type ServiceState = 0 | 1 | 2 | 3 | 4

export type Account = { name: string; mediaId: string; users: string[]; departments: number[] }
export type Session = {
  openKfId: string
  externalUserId: string
  state: ServiceState
  servicer?: string
  scene: string
  /** When the customer wrote last; absent: came in without a word. */
  writtenMs?: number
  /** Messages through the API since then. */
  sent: number
  welcomedMs?: number
}
/** What `sync_msg` tells: messages of customers and events. */
export type Item = {
  msgid: string
  atMs: number
  open_kfid: string
  external_userid: string
  origin: 3 | 4
  msgtype: string
} & Record<string, unknown>
/** A message that the API sent, as the customer sees it. */
export type KfSent = { openKfId: string; externalUserId: string; at: string; msgtype: string; body: unknown }
/** Lets one message answer an event. */
export type Code = { session: string; expiresMs: number; used: boolean }
export type Visitor = { nickname: string; unionId?: string }

/** Accounts, sessions and messages of WeChat customer service. */
export type Kf = ReturnType<typeof openKf>

export function openKf(world: World) {
  const open = <T>(kind: string) => openObjects<T>(world.state, world.seed, kind)
  return {
    accounts: open<Account>('kf_account'),
    sessions: open<Session>('kf_session'),
    items: open<Item>('kf_item'),
    sent: open<KfSent>('kf_sent'),
    codes: open<Code>('kf_code'),
    visitors: open<Visitor>('kf_visitor'),
  }
}

export function accountOf({ accounts }: Kf, openKfId: string | undefined): { id: string; account: Account } {
  if (openKfId === undefined || !openKfId.startsWith('wk')) throw new Refusal(95000, 'invalid open_kfid')
  const account = accounts.get(openKfId)
  if (account === undefined) throw new Refusal(95004, 'open_kfid not exist')
  return { id: openKfId, account }
}

export function sessionOf(
  kf: Kf,
  openKfId: string | undefined,
  externalUserId: string | undefined,
): { key: string; session: Session; account: Account } {
  const { id, account } = accountOf(kf, openKfId)
  const key = `${id}/${externalUserId ?? ''}`
  const session = kf.sessions.get(key)
  if (session === undefined) throw new Refusal(40096, 'invalid external userid')
  return { key, session, account }
}

/** What a callback hands to `sync_msg`. Carries its own time, so that nothing has to be stored for it. */
export function tokenAt(world: World, at: Date): string {
  const ms = at.getTime().toString(36)
  return `ENC${ms}x${hashKey(32, world.seed, 'kf-token', ms)}`
}

export function isToken(world: World, token: string, now: Date): boolean {
  const at = new Date(parseInt(/^ENC([0-9a-z]+?)x[0-9a-f]{32}$/.exec(token)?.[1] ?? '', 36))
  return !Number.isNaN(at.getTime()) && token === tokenAt(world, at) && now.getTime() <= at.getTime() + TOKEN_MS
}
