import { encrypt, getSignature } from '@wecom/crypto'
import { said } from '../../../said.js'
import { messageOf } from '../../../errors.js'
import type { CallbackEcho } from '../../../ports/callback-echo.js'
import { secretHex } from '../../../random.js'
import { SECOND_MS, type Clock } from '../../../time.js'
import { type CallbackOptions, openCallback } from '../transport/callback.js'

/** The platform waits 1 s for it (page 90930); a slow answer is reported as one. */
const LIMIT_MS = 1 * SECOND_MS
const TIMEOUT_MS = 5 * SECOND_MS

/** @see 验证URL有效性, developer.work.weixin.qq.com/document/path/90930 (read 2026-08) */
export function createCallbackEcho(options: CallbackOptions, clock: Clock): CallbackEcho {
  const { token, encodingAesKey, corpId } = options
  const make = () => {
    const text = secretHex(8)
    const timestamp = String(Math.floor(clock.now().getTime() / SECOND_MS))
    const nonce = secretHex(5)
    const echostr = encrypt(encodingAesKey, text, corpId)
    return { text, query: { msg_signature: getSignature(token, timestamp, nonce, echostr), timestamp, nonce, echostr } }
  }
  return {
    selfTest() {
      try {
        const { text, query } = make()
        return openCallback(options).verifyUrl(query) === text
          ? undefined
          : said('解出的不是原文', 'it opens to something else')
      } catch (err) {
        return messageOf(err)
      }
    },
    async ask(url) {
      const { text, query } = make()
      const asked = new URL(url)
      for (const [name, value] of Object.entries(query)) asked.searchParams.set(name, value)
      const startedMs = clock.now().getTime()
      try {
        const response = await fetch(asked, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'manual' })
        const body = await response.text()
        if (response.status !== 200) return `HTTP ${response.status}`
        if (body !== text) return said('应答不是解密后的原文', 'the answer is not the decrypted text')
        const tookMs = clock.now().getTime() - startedMs
        return tookMs > LIMIT_MS
          ? said(`${tookMs} ms 才应答，平台只等 1 s`, `it took ${tookMs} ms, the platform waits 1 s only`)
          : undefined
      } catch (err) {
        return err instanceof DOMException
          ? said(`${TIMEOUT_MS / SECOND_MS} s 内没有应答`, `no answer within ${TIMEOUT_MS / SECOND_MS} s`)
          : unreachable(err)
      }
    },
  }
}

function unreachable(err: unknown): string {
  const cause = err instanceof Error ? (err.cause as { code?: string } | undefined)?.code : undefined
  const why = cause === undefined ? '' : ` (${cause})`
  return said(`连不上${why}`, `cannot connect${why}`)
}
