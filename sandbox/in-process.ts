import { Readable } from 'node:stream'
import axios, { AxiosError, type AxiosAdapter, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios'
import type { SandboxRequest } from './http/core/handle.js'
import type { SandboxResponse } from './http/core/responses.js'

type Target = {
  handle(request: SandboxRequest): Promise<SandboxResponse | undefined>
  /** Waits on the clock that the client's time-outs obey. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/**
 * An axios adapter that hands requests to a sandbox without sockets: whatever host the URL names, its path and query
 * reach `sandbox.handle`. A dropped connection is an `ECONNRESET`, after whatever effect the call had; `timeout` (ms)
 * runs on the sandbox's clock; a request that is never answered ends with its `signal`.
 *
 * @param ip - where the calls seem to come from
 */
export function sandboxAdapter(sandbox: Target, ip?: string): AxiosAdapter {
  return async (config) => {
    const url = new URL(axios.getUri(config), 'http://sandbox.invalid')
    const { body, contentType } = await bodyOf(config)
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(config.headers.toJSON())) headers[name.toLowerCase()] = String(value)
    if (contentType !== undefined) headers['content-type'] = contentType
    const ended = new AbortController()
    const outer = config.signal as AbortSignal | undefined
    const onAbort = () => ended.abort()
    outer?.addEventListener('abort', onAbort, { once: true })
    let timedOut = false
    if ((config.timeout ?? 0) > 0) {
      void sandbox.sleep(config.timeout!, ended.signal).then(() => {
        if (ended.signal.aborted) return
        timedOut = true
        ended.abort()
      })
    }
    try {
      if (outer?.aborted === true) throw cancelled(config)
      const answer = await orAborted(
        sandbox.handle({
          method: (config.method ?? 'get').toUpperCase(),
          url: `${url.pathname}${url.search}`,
          headers,
          body,
          ...(ip === undefined ? {} : { ip }),
          signal: ended.signal,
        }),
        ended.signal,
      )
      if (answer === 'aborted') {
        if (!timedOut) throw cancelled(config)
        throw new AxiosError(`timeout of ${config.timeout}ms exceeded`, AxiosError.ECONNABORTED, config)
      }
      if (answer === undefined) throw new AxiosError('socket hang up', 'ECONNRESET', config)
      return settle(toResponse(answer, config))
    } finally {
      outer?.removeEventListener('abort', onAbort)
      ended.abort() // ends the time-out's sleep
    }
  }
}

function cancelled(config: InternalAxiosRequestConfig): AxiosError {
  return new axios.CanceledError('canceled', config)
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | 'aborted'> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => resolve('aborted'), { once: true })
    work.then(resolve, reject)
  })
}

async function bodyOf(config: InternalAxiosRequestConfig): Promise<{ body: Buffer; contentType?: string }> {
  const data = config.data as unknown
  if (data === undefined || data === null) return { body: Buffer.alloc(0) }
  if (typeof data === 'string') return { body: Buffer.from(data) }
  if (Buffer.isBuffer(data)) return { body: data }
  if (data instanceof ArrayBuffer) return { body: Buffer.from(data) }
  if (ArrayBuffer.isView(data)) return { body: Buffer.from(data.buffer, data.byteOffset, data.byteLength) }
  if (data instanceof FormData || data instanceof URLSearchParams || data instanceof Blob) {
    const packed = new Response(data)
    const body = Buffer.from(await packed.arrayBuffer())
    const contentType = packed.headers.get('content-type')
    return { body, ...(contentType === null ? {} : { contentType }) }
  }
  if (data instanceof Readable) {
    const chunks: Buffer[] = []
    for await (const chunk of data as AsyncIterable<Buffer | string>) chunks.push(Buffer.from(chunk))
    return { body: Buffer.concat(chunks) }
  }
  throw new TypeError('the in-process adapter cannot send this kind of body: give it text, a Buffer or a FormData')
}

function toResponse(answer: SandboxResponse, config: InternalAxiosRequestConfig): AxiosResponse {
  const { status, headers, body } = answer
  const data =
    config.responseType === 'arraybuffer'
      ? body
      : config.responseType === 'stream'
        ? Readable.from([body])
        : body.toString('utf8')
  return { data, status, statusText: '', headers, config, request: {} }
}

function settle(response: AxiosResponse): AxiosResponse {
  const { validateStatus } = response.config
  if (validateStatus === undefined || validateStatus === null || validateStatus(response.status)) return response
  const code = response.status >= 500 ? AxiosError.ERR_BAD_RESPONSE : AxiosError.ERR_BAD_REQUEST
  throw new AxiosError(
    `Request failed with status code ${response.status}`,
    code,
    response.config,
    response.request,
    response,
  )
}
