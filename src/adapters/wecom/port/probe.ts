import axios, { isAxiosError, isCancel } from 'axios'
import { z } from 'zod'
import { said } from '../../../said.js'
import type { ProbeAnswer, ProbeApp, WecomProbe } from '../../../ports/wecom-probe.js'
import { SECOND_MS, type Clock } from '../../../time.js'

export type ProbeOptions = {
  baseUrl: string
  corpId: string
  secret: string
  contactSyncSecret?: string
  clock: Clock
  /** Per question. Default 10,000. */
  timeoutMs?: number
}

const Reply = z.looseObject({ errcode: z.number().int().default(0), errmsg: z.string().default('') })
type Exchange = { answer: ProbeAnswer; date?: Date; midMs: number }

/**
 * The platform's own words, which the client proper hides: it translates codes, renews tokens and drops our address from
 * error texts. Only `siyu doctor` asks like this.
 */
export function createProbe(options: ProbeOptions): WecomProbe {
  const { clock, timeoutMs = 10 * SECOND_MS } = options
  const http = axios.create({
    baseURL: `${options.baseUrl.replace(/\/+$/, '')}/cgi-bin/`,
    ...(/^https?:\/\/(127\.0\.0\.1|localhost)\b/.test(options.baseUrl) && { proxy: false as const }),
    validateStatus: () => true,
    responseType: 'text',
    transformResponse: (data: unknown) => data,
    maxRedirects: 0,
  })
  const tokens = new Map<ProbeApp, string>()

  async function exchange(api: string, params: Record<string, unknown>, body?: object): Promise<Exchange> {
    const startedMs = clock.now().getTime()
    try {
      const response = await http.request<unknown>({
        url: api,
        method: body === undefined ? 'GET' : 'POST',
        params,
        data: body,
        signal: AbortSignal.timeout(timeoutMs),
      })
      const date = new Date(String(response.headers['date'] ?? ''))
      return {
        answer: read(String(response.data), response.status),
        ...(Number.isNaN(date.getTime()) ? {} : { date }),
        midMs: (startedMs + clock.now().getTime()) / 2,
      }
    } catch (err) {
      // Built anew: the error of axios carries the URL and with it the secret.
      const code = isAxiosError(err) ? (err.code ?? 'no code') : 'no code'
      const why = isCancel(err)
        ? said(`${timeoutMs / SECOND_MS} 秒内没有应答`, `no answer within ${timeoutMs / SECOND_MS} s`)
        : code
      return { answer: { kind: 'unreachable', why }, midMs: startedMs }
    }
  }

  return {
    async clockAheadMs() {
      const { answer, date, midMs } = await exchange('gettoken', {})
      if (answer.kind === 'unreachable') return { why: answer.why }
      // The header cuts to the second: half of one is the best guess.
      return date === undefined ? {} : { aheadMs: date.getTime() + SECOND_MS / 2 - midMs }
    },
    async signIn(as) {
      const secret = as === 'app' ? options.secret : options.contactSyncSecret
      const { answer } = await exchange('gettoken', { corpid: options.corpId, corpsecret: secret })
      if (answer.kind === 'answer' && typeof answer.body['access_token'] === 'string')
        tokens.set(as, answer.body['access_token'])
      return answer
    },
    ask: async (as, api, query = {}, body) =>
      (await exchange(api, { ...query, access_token: tokens.get(as) }, body)).answer,
  }
}

function read(text: string, status: number): ProbeAnswer {
  const parsed = Reply.safeParse(parseJson(text))
  if (!parsed.success || (status !== 200 && parsed.data.errcode === 0))
    return {
      kind: 'unreachable',
      why: said(
        `HTTP ${status}，不是企业微信的应答`,
        `HTTP ${status}, not an answer of WeCom; a proxy may have answered`,
      ),
    }
  const { errcode, errmsg, ...body } = parsed.data
  const seenIp = /from ip:\s*([0-9a-f.:]+)/i.exec(errmsg)?.[1]
  return { kind: 'answer', errcode, body, ...(seenIp !== undefined && { seenIp }) }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // refused by the schema, and said so by `read`
  }
}
