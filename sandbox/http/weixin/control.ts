import { z } from 'zod'
import { NotFoundError } from '../../../src/errors.js'
import { parseInput } from '../../../src/parse.js'
import { hashKey } from '../../../src/random.js'
import { MINUTE_MS } from '../../../src/time.js'
import type { World } from '../../world/world.js'
import { meetPeople, type Person, personByContact, personOf, weixinAccountsOf } from './people.js'

const CODE_MS = 5 * MINUTE_MS
const PAGE = 1_000

const Contact = z.strictObject({ externalUserId: z.string() })
const Consent = z.strictObject({ openid: z.string(), templateId: z.string(), times: z.int().min(0).default(1) })
const Follow = z.strictObject({ openid: z.string(), follows: z.boolean() })

type Routes = Record<string, (body: unknown, query: URLSearchParams) => Promise<{ json: unknown }>>

/** What people do in the official account and the mini program, and a view of it. */
export function weixinControls(world: World, now: () => Date): Routes {
  const { state, seed } = world
  const person = (openid: string): Person => {
    const found = personOf(world, openid, now())
    if (found === undefined) throw new NotFoundError('no such openid; see GET /control/weixin/people')
    return found
  }
  const issue = (kind: 'login' | 'phone', body: unknown): { json: unknown } => {
    const { externalUserId } = parseInput(Contact, body)
    const { appId } = weixinAccountsOf(seed).miniProgram
    const who = personByContact(world, appId, externalUserId, now())
    if (who === undefined) throw new NotFoundError(`no contact "${externalUserId}"`)
    const { n } = state.get<{ n: number }>('SELECT count(*) AS n FROM weixin_code')!
    const code = `sandbox-code-${hashKey(20, seed, 'code', kind, n)}`
    state.run('INSERT INTO weixin_code VALUES (?, ?, ?, ?, 0)', code, kind, who.openid, now().getTime() + CODE_MS)
    return { json: { code, openid: who.openid } }
  }
  return {
    /** Openids by contact, 1,000 from `after` on. */
    'GET /control/weixin/people': async (_body, query) => {
      meetPeople(world, now())
      const people = state.all<Person>(
        'SELECT * FROM weixin_user WHERE openid > ? ORDER BY openid LIMIT ?',
        query.get('after') ?? '',
        PAGE,
      )
      return { json: { accounts: weixinAccountsOf(seed), people, next: people.at(-1)?.openid ?? null } }
    },
    /** Signs in to the mini program (`wx.login`). */
    'POST /control/weixin/login': async (body) => world.write(() => issue('login', body)),
    /** Presses the button `getPhoneNumber`. */
    'POST /control/weixin/phone': async (body) => world.write(() => issue('phone', body)),
    /** Taps "allow" so many times more, or always for long-term templates. */
    'POST /control/weixin/consent': async (body) => {
      const { openid, templateId, times } = parseInput(Consent, body)
      world.write(() =>
        state.run(
          `INSERT INTO weixin_consent VALUES (?, ?, ?) ON CONFLICT (openid, template_id) DO UPDATE SET n = n + excluded.n`,
          person(openid).openid,
          templateId,
          times,
        ),
      )
      return { json: { ok: true } }
    },
    'POST /control/weixin/follow': async (body) => {
      const { openid, follows } = parseInput(Follow, body)
      world.write(() =>
        state.run(
          'UPDATE weixin_user SET subscribed = ?, subscribe_ms = ? WHERE openid = ?',
          follows ? 1 : 0,
          now().getTime(),
          person(openid).openid,
        ),
      )
      return { json: { ok: true } }
    },
    /** Template and subscribe messages as they arrived. */
    'GET /control/weixin/messages': async () => ({
      json: { messages: state.all('SELECT * FROM weixin_message ORDER BY seq DESC LIMIT ?', PAGE) },
    }),
  }
}
