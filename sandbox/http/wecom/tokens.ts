import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { HOUR_MS, SECOND_MS } from '../../../src/time.js'
import type { App } from '../../identity.js'
import type { World } from '../../world/world.js'
import { type Call, type Endpoints, OptionalText, read, Refusal, type Reply } from '../core/endpoint.js'

/** Page 91039. */
const TOKEN_MS = 2 * HOUR_MS
/** Pages ask to reserve 512 bytes; real ones have some two to four hundred characters. */
const TOKEN_LENGTH = 214

type TokenRow = { token: string; secret: string; expires_ms: number }

export type Tokens = {
  endpoints: Endpoints
  /** Who calls. @throws {Refusal} 41001, 40014, 42001 */
  appOf: (token: string | null, now: Date) => App
  /** Ends every token now, as the platform may. */
  expire: (now: Date) => void
}

/** Tokens of apps, and the lists of addresses that only need one (pages 91039, 90238, 92520). */
export function openTokens(world: World): Tokens {
  const { state, identity } = world
  const apps = [...identity.apps, identity.contactSync]
  const known = new Map<string, { app: App; expiresMs: number }>()

  return {
    appOf(token, now) {
      if (token === null || token === '') throw new Refusal(41001, 'access_token missing')
      let found = known.get(token)
      if (found === undefined) {
        const row = state.get<TokenRow>('SELECT * FROM token WHERE token = ?', token)
        const app = apps.find((a) => a.name === row?.secret)
        if (row === undefined || app === undefined) throw new Refusal(40014, 'invalid access_token')
        found = { app, expiresMs: row.expires_ms }
        known.set(token, found)
      }
      if (now.getTime() >= found.expiresMs) throw new Refusal(42001, 'access_token expired')
      return found.app
    },
    expire(now) {
      state.run('UPDATE token SET expires_ms = ? WHERE expires_ms > ?', now.getTime(), now.getTime())
      known.clear()
    },
    endpoints: {
      '/cgi-bin/gettoken': {
        token: false,
        writes: true,
        unlimited: true,
        handle: (call) => getToken(world, apps, call),
      },
      '/cgi-bin/getcallbackip': { forContactSync: true, empty: { ip_list: [] }, handle: addresses },
      '/cgi-bin/get_api_domain_ip': { forContactSync: true, empty: { ip_list: [] }, handle: addresses },
    },
  }
}

function getToken(world: World, apps: readonly App[], { params, now, speed }: Call): Reply {
  const { corpid, corpsecret } = read(z.object({ corpid: OptionalText, corpsecret: OptionalText }), params)
  if (corpsecret === undefined) throw new Refusal(41004, 'corpsecret missing')
  if (corpid === undefined) throw new Refusal(41002, 'corpid missing')
  if (corpid !== world.identity.corpId) throw new Refusal(40013, 'invalid corpid')
  const app = apps.find((a) => a.secret === corpsecret)
  if (app === undefined) throw new Refusal(40001, 'invalid credential')
  if (app.disabled) throw new Refusal(50003, 'app disabled')
  const { token, expires_ms: expiresMs } = current(world, app, now) ?? issue(world, app, now)
  const leftMs = (expiresMs - now.getTime()) / speed
  return { access_token: token, expires_in: Math.max(1, Math.ceil(leftMs / SECOND_MS)) }
}

function current({ state }: World, app: App, now: Date): TokenRow | undefined {
  return state.get<TokenRow>(
    'SELECT * FROM token WHERE secret = ? AND expires_ms > ? ORDER BY expires_ms DESC LIMIT 1',
    app.name,
    now.getTime(),
  )
}

function issue({ state, seed }: World, app: App, now: Date): TokenRow {
  let token = ''
  for (let n = 0; token === '' || state.get('SELECT 1 FROM token WHERE token = ?', token) !== undefined; n++) {
    const parts = [0, 1, 2, 3].map((i) => hashKey(64, seed, 'token', app.name, now.getTime(), n, i))
    token = `sandbox-token-${parts.join('')}`.slice(0, TOKEN_LENGTH)
  }
  const row = { token, secret: app.name, expires_ms: now.getTime() + TOKEN_MS }
  state.run('INSERT INTO token VALUES (?, ?, ?)', row.token, row.secret, row.expires_ms)
  return row
}

function addresses(): { ip_list: string[] } {
  return { ip_list: ['127.0.0.1'] }
}
