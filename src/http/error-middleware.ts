import type { Middleware } from 'koa'
import { AppError, ConfigError, InvalidInputError, messageOf, type Problem } from '../errors.js'
import type { Log } from '../log.js'

/** A refusal that only HTTP knows. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** What every failed request answers. */
export type ErrorBody = { error: { code: string; message: string; problems?: readonly Problem[] } }

/** Turns whatever is thrown below into a status and an `ErrorBody`. Only what somebody must look at is logged. */
export function errorMiddleware(log: Log): Middleware {
  return async (ctx, next) => {
    try {
      await next()
    } catch (err) {
      const { status, code, message, problems } = toReply(err)
      logReply(log, ctx, err, status)
      ctx.status = status
      ctx.body = { error: { code, message, ...(problems !== undefined && { problems }) } } satisfies ErrorBody
      if (status === 401) ctx.set('WWW-Authenticate', 'Bearer')
      // The rest of a body that was not read must not be taken for the next request.
      if (status === 413) ctx.set('Connection', 'close')
    }
  }
}

export function logReply(
  log: Log,
  { method, path }: { method: string; path: string },
  err: unknown,
  status: number,
): void {
  if (status < 500) return
  const fields = { method, path, code: toReply(err).code, cause: causesOf(err) }
  if (err instanceof AppError && err.retryable) log.warn('request failed', fields)
  else log.error('request failed', fields)
}

export type Reply = { status: number } & ErrorBody['error']

const STATUS_OF_CODE: Partial<Record<string, number>> = {
  invalid_input: 400,
  not_found: 404,
  conflict: 409,
  bad_config: 500,
  upstream_failed: 502,
  unknown_outcome: 502,
}

/** What a caller is told of whatever was thrown. */
export function toReply(err: unknown): Reply {
  if (err instanceof HttpError) return { status: err.status, code: err.code, message: err.message }
  if (err instanceof AppError) {
    const found = err instanceof InvalidInputError || err instanceof ConfigError ? err.problems : []
    const problems = found.length > 0 ? found : undefined
    const message = problems === undefined ? err.message : err.message.split('\n')[0]!
    return {
      status: STATUS_OF_CODE[err.code] ?? 500,
      code: err.code,
      message,
      ...(problems !== undefined && { problems }),
    }
  }
  // Body parsers throw errors with a status and a type of their own.
  const { status, type } = err as { status?: unknown; type?: unknown }
  if (status === 413) return { status, code: 'too_large', message: 'request body is too large: send smaller batches' }
  if (status === 400 && type !== 'request.aborted') {
    return { status, code: 'invalid_input', message: `request body cannot be read: ${messageOf(err)}` }
  }
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return { status, code: 'bad_request', message: messageOf(err) }
  }
  return { status: 500, code: 'internal', message: 'internal error: the log of the service says more' }
}

/** The error and its causes, nearest first, with the place of the last one. */
function causesOf(err: unknown): string {
  const chain: string[] = []
  let at: unknown = err
  for (; at instanceof Error; at = at.cause) chain.push(`${at.name}: ${at.message}`)
  if (at !== undefined) chain.push(messageOf(at))
  const place =
    err instanceof Error
      ? err.stack
          ?.split('\n')
          .find((line) => /^\s+at /.test(line))
          ?.trim()
      : undefined
  return [chain.join(' ← '), place].filter((part) => part !== undefined).join(' ')
}
