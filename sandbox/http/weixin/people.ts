import { hashKey, intOf, unitOf } from '../../../src/random.js'
import { DAY_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { Refusal } from '../core/endpoint.js'

/** A customer as an official account or a mini program knows her. */
export type Person = {
  openid: string
  appid: string
  external_user_id: string
  unionid: string
  /** 1 when she follows the official account. */
  subscribed: number
  subscribe_ms: number
}

export type WeixinAccounts = {
  officialAccount: { appId: string; secret: string }
  miniProgram: { appId: string; secret: string }
}

/** Plainly fake, the same for the same seed. */
export function weixinAccountsOf(seed: number): WeixinAccounts {
  const account = (kind: string) => ({
    appId: `wx5a0d${hashKey(12, seed, 'appid', kind)}`,
    secret: `sandbox-${kind}-secret-${hashKey(16, seed, 'weixin-secret', kind)}`,
  })
  return { officialAccount: account('oa'), miniProgram: account('mp') }
}

/**
 * The person behind an openid. Openids of customers who came since the last look are made then: a world whose official
 * account nobody asks about costs nothing.
 */
export function personOf(world: World, openid: string, now: Date): Person | undefined {
  const find = () => world.state.get<Person>('SELECT * FROM weixin_user WHERE openid = ?', openid)
  return find() ?? (meetPeople(world, now) ? find() : undefined)
}

export function personByContact(world: World, appId: string, externalUserId: string, now: Date): Person | undefined {
  const find = () =>
    world.state.get<Person>('SELECT * FROM weixin_user WHERE appid = ? AND external_user_id = ?', appId, externalUserId)
  return find() ?? (meetPeople(world, now) ? find() : undefined)
}

/** Gives every contact an openid per account. @returns whether there was somebody new */
export function meetPeople(world: World, now: Date): boolean {
  const { state, seed } = world
  const { officialAccount, miniProgram } = weixinAccountsOf(seed)
  const contacts = state.get<{ n: number }>('SELECT count(*) AS n FROM contact')!.n
  if (Number(state.meta('weixin_met') ?? 0) === contacts) return false
  const strangers = state.all<{ external_user_id: string; union_id: string | null }>(
    'SELECT external_user_id, union_id FROM contact WHERE external_user_id NOT IN (SELECT external_user_id FROM weixin_user)',
  )
  state.tx(() => {
    for (const { external_user_id: id, union_id: unionId } of strangers) {
      for (const { appId } of [officialAccount, miniProgram]) {
        const follows =
          appId === officialAccount.appId && unitOf(seed, 'follows', id) < world.scenario.weixin.followRatio
        state.run(
          'INSERT INTO weixin_user VALUES (?, ?, ?, ?, ?, ?)',
          `oSBX_${hashKey(23, seed, 'openid', appId, id)}`,
          appId,
          id,
          unionId ?? `ou${hashKey(26, seed, 'unionid', id)}`,
          follows ? 1 : 0,
          now.getTime() - intOf(300 * DAY_MS, seed, 'followed', id),
        )
      }
    }
    state.setMeta('weixin_met', String(contacts))
  })
  return strangers.length > 0
}

/** Who of an account's people that is. @throws {Refusal} 40003, 49003 */
export function readPerson(world: World, openid: string, appId: string, now: Date): Person {
  const person = personOf(world, openid, now)
  if (person === undefined) throw new Refusal(40003, 'invalid openid')
  if (person.appid !== appId) throw new Refusal(49003, 'not match openid with appid')
  return person
}
