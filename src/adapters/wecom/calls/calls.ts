import type { z } from 'zod'
import { type Meaning, WecomError } from '../transport/error-codes.js'
import type { Priority, WecomCall, WecomTransport } from '../transport/transport.js'

export type Json = Record<string, unknown>
type Query = Record<string, string | number>
/** What one call may override. */
export type CallOptions = Pick<WecomCall<z.ZodType>, 'priority' | 'binary' | 'withoutToken' | 'isLate'>

/** The ways an area asks the platform. */
export interface Calls {
  /** GET without an effect. */
  get<S extends z.ZodType>(api: string, reply: S, query?: Query, options?: CallOptions): Promise<z.infer<S>>
  /** POST that may be repeated: it changes nothing, or the same thing again. */
  read<S extends z.ZodType>(api: string, reply: S, body: Json | FormData, options?: PostOptions): Promise<z.infer<S>>
  /**
   * POST that leaves the same state however often it is applied, so that it is repeated by itself; an {UnknownOutcomeError}
   * only when every answer was lost.
   */
  put<S extends z.ZodType>(api: string, reply: S, body: Json, options?: PostOptions): Promise<z.infer<S>>
  /** POST with an effect: sent once, and a lost answer is an {UnknownOutcomeError}. */
  act<S extends z.ZodType>(api: string, reply: S, body: Json, options?: PostOptions): Promise<z.infer<S>>
  /** Follows cursors of a `read`: a page may be empty while there is a next one. */
  pages<S extends z.ZodType, T>(
    api: string,
    reply: S,
    body: Json,
    take: (page: z.infer<S>) => { items: T[]; next: string | undefined },
    options?: CallOptions & { meaningEmpty?: readonly Meaning[] },
  ): AsyncIterable<T[]>
  /** `undefined` in place of a refusal that is an expected answer. */
  unless<T>(expected: readonly Meaning[], answer: Promise<T>): Promise<T | undefined>
}
type PostOptions = CallOptions & { query?: Query }

/** @param priority - of every call that does not say its own */
export function createCalls(transport: Pick<WecomTransport, 'call'>, priority?: Priority): Calls {
  const order = ({ priority: own, binary, withoutToken, isLate }: CallOptions = {}): CallOptions => {
    const chosen = own ?? priority
    return {
      ...(chosen && { priority: chosen }),
      ...(binary && { binary }),
      ...(withoutToken && { withoutToken }),
      ...(isLate && { isLate }),
    }
  }
  const post =
    (repeat: WecomCall<z.ZodType>['repeat']): Calls['read'] =>
    (api, reply, body, options) =>
      transport.call({ api, reply, repeat, body, ...order(options), ...(options?.query && { query: options.query }) })
  const calls: Calls = {
    get: (api, reply, query, options) =>
      transport.call({ api, reply, repeat: 'harmless', ...order(options), ...(query && { query }) }),
    read: post('harmless'),
    put: post('idempotent'),
    act: post('effect'),
    async *pages(api, reply, body, take, options) {
      let cursor: string | undefined
      do {
        const asked = calls.read(api, reply, cursor === undefined ? body : { ...body, cursor }, options)
        const page = await calls.unless(options?.meaningEmpty ?? [], asked)
        if (page === undefined) return
        const { items, next } = take(page)
        if (items.length > 0) yield items
        cursor = next
      } while (cursor !== undefined)
    },
    async unless(expected, answer) {
      try {
        return await answer
      } catch (err) {
        if (err instanceof WecomError && expected.includes(err.meaning)) return undefined
        throw err
      }
    },
  }
  return calls
}
