import { WecomError } from '../transport/error-codes.js'
import { InvalidInputError, UnknownOutcomeError, UpstreamError } from '../../../errors.js'
import type { DispatchOutcome } from '../../../ports/channel.js'
import { MINUTE_MS, SECOND_MS } from '../../../time.js'

const AFTER_UNREACHED_MS = 30 * SECOND_MS
/** Someone must change a setting first; nothing is lost meanwhile. */
const AFTER_PERSON_MS = 15 * MINUTE_MS

/** What a failed send means for the dispatch. Rethrows what is neither a refusal nor a fault of the way there. */
export function toOutcome(err: unknown): DispatchOutcome {
  if (err instanceof InvalidInputError) return { kind: 'refused', reason: 'invalid_request', message: err.message }
  if (err instanceof UnknownOutcomeError) return { kind: 'unknown', reason: err.message }
  if (err instanceof WecomError) {
    const reason = `wecom_${err.errcode}`
    // "Busy" does not say whether the request was taken: repeating it blindly could send twice.
    if (err.errcode === -1) return { kind: 'unknown', reason: err.message }
    if (err.meaning === 'slow_down') return { kind: 'later', afterMs: err.retryAfterMs ?? MINUTE_MS, reason }
    if (err.meaning === 'refresh_token') return { kind: 'later', afterMs: MINUTE_MS, reason }
    if (err.meaning === 'tell_a_person') return { kind: 'later', afterMs: AFTER_PERSON_MS, reason }
    const elsewhere = err.meaning === 'give_up_recipient' && { elsewhere: true as const }
    return { kind: 'refused', reason, message: err.message, ...elsewhere }
  }
  if (err instanceof UpstreamError && err.retryable) {
    return { kind: 'later', afterMs: AFTER_UNREACHED_MS, reason: err.upstreamCode }
  }
  throw err
}
