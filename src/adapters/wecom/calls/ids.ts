import { z } from 'zod'
import { DAY_MS } from '../../../time.js'
import type { Calls } from './calls.js'
import { WecomError } from '../transport/error-codes.js'
import { List, Text } from './wire.js'

/** After this a pending id matches nobody any more. @see document/path/95900 (read 2026-08) */
export const PENDING_ID_MS = 90 * DAY_MS
/** Ids in one call. @see document/path/97357 (read 2026-08) */
export const PENDING_ID_BATCH = 100

const OpenIdReply = z.object({ openid: z.string().min(1) })
const UnionIdReply = z.object({ external_userid: Text, pending_id: Text })
const PendingIdsReply = z.object({ result: List(z.object({ external_userid: z.string(), pending_id: z.string() })) })

export type UnionIdMatch =
  | { kind: 'customer'; externalUserId: string }
  /** Not a customer yet: match it with `pendingIdsOf` when she becomes one, within `PENDING_ID_MS`. */
  | { kind: 'pending'; pendingId: string }
  /** These two ids do not belong together, or to another subject: another person's may. */
  | { kind: 'mismatch'; errcode: number }
  /** The platform knows nobody by them. */
  | { kind: 'unknown' }

/**
 * Refusals that are about the two ids asked about: 610014 the unionid is not valid; 610018 it is not of the openid's
 * account; 845001 the openid is of no mini program or official account; 845002, 845003 another subject. 610015–610017 are
 * about the accounts themselves and stay errors.
 */
const MISMATCHES = [610014, 610018, 845001, 845002, 845003]

/**
 * Id conversion. What a UnionID is converted to belongs to apps of providers (代开发, 第三方): a self-built app is refused
 * (48002) and reads `unionid` from its contacts instead.
 */
export function idCalls(calls: Calls) {
  return {
    /** For payments to a WeChat customer; refused for WeCom users (page 92292). */
    async openIdOf(externalUserId: string): Promise<string> {
      const body = { external_userid: externalUserId }
      return (await calls.read('externalcontact/convert_to_openid', OpenIdReply, body)).openid
    },
    /**
     * Who a person known to a mini program or official account is (page 95900).
     *
     * @param of.subject - whose mini program it is: of the `corp` or of the `provider`
     * @throws {WecomError} 48002 self-built app; 610015–610017 the company or its open-platform account is not verified
     */
    async match(of: { unionId: string; openId: string; subject: 'corp' | 'provider' }): Promise<UnionIdMatch> {
      const body = { unionid: of.unionId, openid: of.openId, subject_type: of.subject === 'corp' ? 0 : 1 }
      const reply = await calls
        .read('idconvert/unionid_to_external_userid', UnionIdReply, body)
        .catch((err: unknown) => {
          if (err instanceof WecomError && MISMATCHES.includes(err.errcode)) return err
          throw err
        })
      if (reply instanceof WecomError) return { kind: 'mismatch', errcode: reply.errcode }
      if (reply.external_userid !== undefined) return { kind: 'customer', externalUserId: reply.external_userid }
      return reply.pending_id === undefined ? { kind: 'unknown' } : { kind: 'pending', pendingId: reply.pending_id }
    },
    /**
     * The pending ids that customers had before they were customers (page 97357); those without one are left out.
     *
     * @param externalUserIds - at most 100
     * @param chatId - asks about members of this group, customers or not
     * @returns pending id by external userid
     */
    async pendingIdsOf(externalUserIds: readonly string[], chatId?: string): Promise<Map<string, string>> {
      const body = { external_userid: externalUserIds, ...(chatId !== undefined && { chat_id: chatId }) }
      const { result } = await calls.read('idconvert/batch/external_userid_to_pending_id', PendingIdsReply, body)
      return new Map(result.map((row) => [row.external_userid, row.pending_id]))
    },
  }
}
