import { z } from 'zod'
import { hashKey } from '../../src/random.js'
import { HOUR_MS, SECOND_MS } from '../../src/time.js'
import type { World } from '../world/world.js'
import { type Caller, type Endpoints, OptionalText, read, Refusal } from './endpoint.js'

/** Page 91039. */
const TOKEN_MS = 2 * HOUR_MS

type TokenRow = { token: string; secret: Caller; expires_ms: number }

/** Tokens, and the lists of addresses that only need one (pages 91039, 90238, 92520). */
export function tokenEndpoints(world: World): Endpoints {
  const { state, identity } = world
  return {
    '/cgi-bin/gettoken': {
      token: false,
      writes: true,
      unlimited: true,
      handle: ({ params, now }) => {
        const { corpid, corpsecret } = read(z.object({ corpid: OptionalText, corpsecret: OptionalText }), params)
        if (corpsecret === undefined) throw new Refusal(41004, 'corpsecret missing')
        if (corpid === undefined) throw new Refusal(41002, 'corpid missing')
        if (corpid !== identity.corpId) throw new Refusal(40013, 'invalid corpid')
        const caller =
          corpsecret === identity.app.secret
            ? 'app'
            : corpsecret === identity.contactSyncSecret
              ? 'contact_sync'
              : undefined
        if (caller === undefined) throw new Refusal(40001, 'invalid credential')
        const { token, expires_ms: expiresMs } = currentToken(world, caller, now) ?? issueToken(world, caller, now)
        return { access_token: token, expires_in: Math.ceil((expiresMs - now.getTime()) / SECOND_MS) }
      },
    },
    '/cgi-bin/getcallbackip': { empty: { ip_list: [] }, handle: () => ({ ip_list: ['127.0.0.1'] }) },
    '/cgi-bin/get_api_domain_ip': { empty: { ip_list: [] }, handle: () => ({ ip_list: ['127.0.0.1'] }) },
  }

  function issueToken(w: World, caller: Caller, now: Date): TokenRow {
    let n = 0
    const name = () => `sandbox-token-${hashKey(64, w.seed, 'token', caller, now.getTime(), n)}`
    while (state.get('SELECT 1 FROM token WHERE token = ?', name()) !== undefined) n++
    const row = { token: name(), secret: caller, expires_ms: now.getTime() + TOKEN_MS }
    state.run('INSERT INTO token VALUES (?, ?, ?)', row.token, row.secret, row.expires_ms)
    return row
  }
}

/** Who calls. @throws {Refusal} 41001, 40014, 42001 */
export function callerOf(world: World, token: string | undefined, now: Date): Caller {
  if (token === undefined || token === '') throw new Refusal(41001, 'access_token missing')
  const row = world.state.get<TokenRow>('SELECT * FROM token WHERE token = ?', token)
  if (row === undefined) throw new Refusal(40014, 'invalid access_token')
  if (now.getTime() >= row.expires_ms) throw new Refusal(42001, 'access_token expired')
  return row.secret
}

/** Ends every token now, as the platform may. */
export function expireTokens(world: World, now: Date): void {
  world.state.run('UPDATE token SET expires_ms = ? WHERE expires_ms > ?', now.getTime(), now.getTime())
}

function currentToken(world: World, caller: Caller, now: Date): TokenRow | undefined {
  return world.state.get<TokenRow>(
    'SELECT * FROM token WHERE secret = ? AND expires_ms > ? ORDER BY expires_ms DESC LIMIT 1',
    caller,
    now.getTime(),
  )
}
