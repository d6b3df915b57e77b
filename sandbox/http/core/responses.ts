import { AppError, ConflictError, InvalidInputError, NotFoundError } from '../../../src/errors.js'

export type SandboxResponse = { status: number; headers: Record<string, string>; body: Buffer }

export const JSON_HEADERS = { 'content-type': 'application/json; charset=UTF-8' }
/** As the platform: nothing. */
export const NOT_FOUND: SandboxResponse = { status: 404, headers: {}, body: Buffer.alloc(0) }

export function textResponse(status: number, contentType: string, text: string): SandboxResponse {
  return { status, headers: { 'content-type': contentType }, body: Buffer.from(text) }
}

export function jsonResponse(status: number, body: unknown): SandboxResponse {
  return textResponse(status, JSON_HEADERS['content-type'], JSON.stringify(body))
}

export function proxyError(status: number): SandboxResponse {
  const text = `<html><head><title>${status}</title></head><body>proxy</body></html>`
  return textResponse(status, 'text/html', text)
}

/** WeChat Pay refuses with a status and a code of words, the official account as WeCom does. */
export function neighbourRefusal(path: string, errcode: number): SandboxResponse {
  return path.startsWith('/v3/')
    ? jsonResponse(500, { code: 'SYSTEM_ERROR', message: 'injected fault' })
    : jsonResponse(200, { errcode, errmsg: 'injected fault' })
}

/** Of the control API. */
export function statusOf(err: unknown): number {
  if (err instanceof InvalidInputError || err instanceof SyntaxError) return 400
  if (err instanceof NotFoundError) return 404
  if (err instanceof ConflictError) return 409
  if (err instanceof AppError && err.code === 'upstream_failed') return 502
  return err instanceof AppError ? 403 : 500
}
