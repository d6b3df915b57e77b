import { z } from 'zod'
import { MINUTE_MS, SECOND_MS, type Clock } from '../../../time.js'
import { WecomError } from './error-codes.js'

export const TokenReply = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() })

export interface TokenSource {
  /** The current token; fetched once however many callers wait for it. */
  get(): Promise<string>
  /** A token other than `stale`, if there is one; ten callers holding the same stale token cause one fetch. */
  renew(stale: string): Promise<string>
}

/**
 * Keeps the token of one app. The platform hands out the same token until it expires and does not extend it, so asking
 * early gains nothing: it is used to its end, and `renew` covers what expires on the way.
 *
 * @param fetchToken - asks `gettoken`; `expires_in` in seconds
 */
export function createTokenSource(
  clock: Clock,
  fetchToken: () => Promise<{ access_token: string; expires_in: number }>,
): TokenSource {
  let current: { token: string; expiresAtMs: number } | undefined
  let underWay: Promise<string> | undefined
  let refusal: { error: WecomError; untilMs: number } | undefined

  async function fetchOne(): Promise<string> {
    try {
      const askedAtMs = clock.now().getTime()
      const reply = await fetchToken()
      current = { token: reply.access_token, expiresAtMs: askedAtMs + reply.expires_in * SECOND_MS }
      refusal = undefined
      return reply.access_token
    } catch (err) {
      // Wrong secrets in a row ban this IP for an hour: ask again once a minute at most.
      if (err instanceof WecomError && err.meaning === 'tell_a_person') {
        refusal = { error: err, untilMs: clock.now().getTime() + MINUTE_MS }
      }
      throw err
    } finally {
      underWay = undefined
    }
  }

  async function fetchShared(): Promise<string> {
    if (refusal !== undefined && clock.now().getTime() < refusal.untilMs) throw refusal.error
    underWay ??= fetchOne()
    return underWay
  }

  return {
    async get() {
      if (underWay !== undefined) return underWay
      return current !== undefined && clock.now().getTime() < current.expiresAtMs ? current.token : fetchShared()
    },
    async renew(stale) {
      return current !== undefined && current.token !== stale ? current.token : fetchShared()
    },
  }
}
