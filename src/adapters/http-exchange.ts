import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import axios, { isAxiosError, isCancel } from 'axios'

export type HttpRequest = {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Path with query, exactly as it shall be sent, or an absolute address on the same host. */
  url: string
  headers?: Record<string, string>
  body?: string | FormData
  /**
   * Uses a connection of its own: on a kept one that the other side is just closing, a request would be lost with an
   * unknown outcome. For requests that must not be repeated.
   */
  fresh?: boolean
}

/** What became of one request. An answer is an answer whatever its status. */
export type HttpOutcome =
  | { kind: 'answer'; status: number; headers: Readonly<Record<string, string>>; body: string }
  /** It certainly never left this machine. */
  | { kind: 'not_sent'; code: string }
  /** It left, or may have left, and no whole answer came. */
  | { kind: 'lost'; why: string }

export interface HttpExchange {
  /** Never throws for what the network or the other side does, so no error can carry the address and its secrets. */
  request(request: HttpRequest): Promise<HttpOutcome>
  /** Closes kept connections. May be called twice. */
  close(): void
}

const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL'])
const MAX_REPLY_BYTES = 50_000_000

/** @param timeoutMs - per exchange, connecting and reading included */
export function createHttpExchange(baseUrl: string, timeoutMs: number): HttpExchange {
  const kept = { httpAgent: new HttpAgent({ keepAlive: true }), httpsAgent: new HttpsAgent({ keepAlive: true }) }
  const base = baseUrl.replace(/\/+$/, '')
  const http = axios.create({
    // The company's way out to the internet does not lead back to this machine.
    ...(/^https?:\/\/(127\.0\.0\.1|localhost)\b/.test(base) && { proxy: false as const }),
    validateStatus: () => true,
    responseType: 'text',
    transformResponse: (data: unknown) => data,
    maxRedirects: 0,
    maxContentLength: MAX_REPLY_BYTES,
  })
  return {
    async request({ method, url, headers, body, fresh }) {
      try {
        const answer = await http.request<string | undefined>({
          ...(fresh === true ? {} : kept),
          method,
          url: /^https?:\/\//.test(url) ? url : `${base}${url}`,
          headers: { ...headers },
          data: body,
          signal: AbortSignal.timeout(timeoutMs),
        })
        const received = Object.entries(answer.headers).map(([name, value]) => [name.toLowerCase(), String(value)])
        return {
          kind: 'answer',
          status: answer.status,
          headers: Object.fromEntries(received) as Record<string, string>,
          body: answer.data ?? '',
        }
      } catch (err) {
        if (isCancel(err)) return { kind: 'lost', why: `no answer within ${timeoutMs} ms` }
        if (!isAxiosError(err)) throw err
        const code = err.code ?? 'no code'
        return NOT_SENT.has(code) ? { kind: 'not_sent', code } : { kind: 'lost', why: `the connection broke (${code})` }
      }
    },
    close() {
      kept.httpAgent.destroy()
      kept.httpsAgent.destroy()
    },
  }
}
