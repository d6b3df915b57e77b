import { readPayCallback } from './callback.js'
import { createPayCalls } from './calls.js'
import { cashCouponCalls } from './cash-coupons.js'
import { merchantCouponCalls } from './merchant-coupons.js'
import type { SignedMessage } from './platform-keys.js'
import { createPayTransport, type PayOptions } from './transport.js'

export type PayClient = ReturnType<typeof createPayClient>

/**
 * The marketing calls of one merchant (API v3). Every method throws {PayError} when refused, {UpstreamError} when not
 * reached, {UnknownOutcomeError} when a call without a request number lost its answer. Amounts are integers in fen.
 *
 * @throws {ConfigError} when a key has the wrong shape
 */
export function createPayClient(options: PayOptions) {
  const transport = createPayTransport(options)
  const calls = createPayCalls(transport)
  return {
    mchId: options.mchId,
    cashCoupons: cashCouponCalls(calls, options.mchId),
    merchantCoupons: merchantCouponCalls(calls, options.mchId),
    /** See {@link readPayCallback}. */
    readCallback: (message: SignedMessage) =>
      readPayCallback({ keys: transport.keys, apiV3Key: options.apiV3Key }, message),
    /** May be called twice. */
    close: () => transport.close(),
  }
}
