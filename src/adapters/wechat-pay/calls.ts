import { z } from 'zod'
import type { PayCall, PayTransport } from './transport.js'

type Query = PayCall<z.ZodType>['query']
type Body = NonNullable<PayCall<z.ZodType>['body']>

export type PayCalls = {
  get: <S extends z.ZodType>(path: string, reply: S, query?: Query) => Promise<z.infer<S>>
  /** A write that carries a request number: repeated by itself, byte for byte, until there is an answer. */
  once: <S extends z.ZodType>(
    method: 'POST' | 'PATCH' | 'DELETE',
    path: string,
    reply: S,
    body: Body,
  ) => Promise<z.infer<S>>
  /** A write without a number: never repeated. */
  act: <S extends z.ZodType>(path: string, reply: S, body: Body) => Promise<z.infer<S>>
  /** Every page of a list. Stops when the total is reached or a page is empty. */
  pages: <T extends z.ZodType>(path: string, item: T, query: Query, limit: number) => AsyncIterable<z.infer<T>[]>
  download: PayTransport['download']
}

export function createPayCalls(transport: PayTransport): PayCalls {
  const call: PayTransport['call'] = (request) => transport.call(request)
  return {
    get: (path, reply, query) =>
      call({ method: 'GET', path, reply, repeat: 'harmless', ...(query !== undefined && { query }) }),
    once: (method, path, reply, body) => call({ method, path, reply, body, repeat: 'harmless' }),
    act: (path, reply, body) => call({ method: 'POST', path, reply, body, repeat: 'effect' }),
    async *pages(path, item, query, limit) {
      const page = z.looseObject({
        total_count: z.int().nonnegative(),
        data: z.array(item).nullish(), // left out of an empty list
      })
      for (let seen = 0; ;) {
        const { total_count: total, data } = await call({
          method: 'GET',
          path,
          query: { ...query, offset: seen, limit },
          reply: page,
          repeat: 'harmless',
        })
        const items = data ?? []
        if (items.length > 0) yield items
        seen += items.length
        if (items.length === 0 || seen >= total) return
      }
    },
    download: (url) => transport.download(url),
  }
}

/** A point in time as the platform writes it, RFC 3339. */
export const Instant = z.string().pipe(z.coerce.date())
