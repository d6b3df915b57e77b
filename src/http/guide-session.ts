import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { type Clock, HOUR_MS } from '../time.js'

/** A guide signs in again once a shift. */
export const SESSION_MS = 12 * HOUR_MS

export interface GuideSessions {
  /** A text for a cookie that only this service (all its processes) can make. */
  seal(userId: string): string
  /** The member it was made for, and when; `undefined` when it is not ours or has ended. */
  open(sealed: string | undefined): { userId: string; since: Date } | undefined
}

/** Sessions need no store to be made (whether one was ended, `services/guides/sign-out.ts` tells): the member and the end, signed with a key that every process derives from the app's secret. */
export function createGuideSessions(appSecret: string, clock: Clock): GuideSessions {
  const key = Buffer.from(hkdfSync('sha256', appSecret, '', 'siyu guide session', 32))
  const sign = (payload: string): Buffer => createHmac('sha256', key).update(payload).digest()
  return {
    seal(userId) {
      const payload = JSON.stringify([userId, clock.now().getTime() + SESSION_MS])
      return `${Buffer.from(payload).toString('base64url')}.${sign(payload).toString('base64url')}`
    },
    open(sealed) {
      const [encoded, signature, ...rest] = (sealed ?? '').split('.')
      if (encoded === undefined || signature === undefined || rest.length > 0) return undefined
      const payload = Buffer.from(encoded, 'base64url').toString('utf8')
      const expected = sign(payload)
      const given = Buffer.from(signature, 'base64url')
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
      const [userId, endsMs] = JSON.parse(payload) as [string, number] // signed by us: of our shape
      return clock.now().getTime() < endsMs ? { userId, since: new Date(endsMs - SESSION_MS) } : undefined
    },
  }
}
