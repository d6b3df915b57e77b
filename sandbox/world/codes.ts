import { hashKey } from '../../src/random.js'
import { DAY_MS, SECOND_MS } from '../../src/time.js'
import type { Core } from './core.js'

/** Page 92137: a welcome code lives 20 s. */
const WELCOME_CODE_MS = 20 * SECOND_MS
/** Page 94888 (2025-09): a response code lives 72 h. */
const RESPONSE_CODE_MS = 3 * DAY_MS

/** Codes that an app may use once, and not for long. */
export class Codes {
  constructor(private readonly core: Core) {}

  /** None for a member who is not in WeCom: she could not send it (staff answer). */
  issueWelcome(userId: string, externalUserId: string, at: Date): string | undefined {
    const { state, seed, staff } = this.core
    if (!staff.known(userId).isActivated) return undefined
    const code = `WELCOME${hashKey(32, seed, 'welcome', userId, externalUserId, at.getTime())}`
    state.run(
      'INSERT OR REPLACE INTO welcome_code (code, user_id, external_user_id, expires_ms) VALUES (?, ?, ?, ?)',
      code,
      userId,
      externalUserId,
      at.getTime() + WELCOME_CODE_MS,
    )
    return code
  }

  /** With it a card can be changed. @param what - makes the code, with the message: something that happens once */
  issueResponse(msgid: string, what: string, at: Date): string {
    const { state, seed } = this.core
    let code = ''
    for (let n = 0; code === '' || state.get('SELECT 1 FROM response_code WHERE code = ?', code) !== undefined; n++)
      code = `RESPONSE${hashKey(40, seed, 'response', msgid, what, n)}`
    state.run(
      'INSERT INTO response_code (code, msgid, expires_ms) VALUES (?, ?, ?)',
      code,
      msgid,
      at.getTime() + RESPONSE_CODE_MS,
    )
    return code
  }
}
