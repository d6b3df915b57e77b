import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../log.js'
import { HTTP_BOUNDS } from '../bounds.js'
import type { FailedAttempts } from './failed-attempts.js'
import { HttpError, logReply, toReply } from './error-middleware.js'

/** A route for thousands of requests a second: text in, text out, and its caller is checked by itself. */
export type RawRoute = {
  method: 'GET' | 'POST'
  path: string
  handle(query: Record<string, string>, body: string): string | Promise<string>
}

type Around = { log: Log; failed: FailedAttempts }

/** Serves a request if one of the routes is meant; otherwise gives `undefined` and has touched nothing. */
export function serveRaw(
  routes: readonly RawRoute[],
  req: IncomingMessage,
  res: ServerResponse,
  around: Around,
): { route: RawRoute; done: Promise<void> } | undefined {
  const url = req.url ?? ''
  const end = url.indexOf('?')
  const path = end === -1 ? url : url.slice(0, end)
  const route = routes.find((r) => r.path === path && r.method === req.method)
  if (route === undefined) return undefined
  return { route, done: serve(route, end === -1 ? '' : url.slice(end + 1), req, res, around) }
}

async function serve(
  route: RawRoute,
  query: string,
  req: IncomingMessage,
  res: ServerResponse,
  { log, failed }: Around,
): Promise<void> {
  try {
    const body = route.method === 'GET' ? '' : await readBody(req)
    const answer = await route.handle(Object.fromEntries(new URLSearchParams(query)), body)
    send(res, 200, answer, 'text/plain; charset=utf-8')
  } catch (err) {
    if (req.destroyed && !req.complete) return // nobody is left to be told
    const { status, ...error } = toReply(await slowed(failed, route, req, err))
    logReply(log, { method: route.method, path: route.path }, err, status)
    if (status === 413) res.setHeader('Connection', 'close')
    send(res, status, JSON.stringify({ error }), 'application/json; charset=utf-8')
  }
}

/** What cannot be accepted was sent by somebody else than the platform, or is not meant for us: it is noted, and waits. */
async function slowed(
  failed: FailedAttempts,
  { method, path }: RawRoute,
  req: IncomingMessage,
  err: unknown,
): Promise<unknown> {
  const { status, problems } = toReply(err)
  if (status >= 500) return err
  const why = problems?.[0]?.path ?? status
  return failed.note(req.socket.remoteAddress ?? '', 'signature', `${method} ${path} (${why})`).then(
    () => err,
    (tooMany: unknown) => tooMany,
  )
}

function send(res: ServerResponse, status: number, text: string, type: string): void {
  res.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(text),
    'X-Content-Type-Options': 'nosniff',
  })
  res.end(text)
}

function readBody(req: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    req.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > HTTP_BOUNDS.callbackBytes) reject(new HttpError(413, 'too_large', 'request body is too large'))
      else chunks.push(chunk)
    })
    req.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    req.once('error', reject)
    req.once('close', () => {
      if (!req.complete) reject(new HttpError(400, 'bad_request', 'the request was broken off'))
    })
  })
}
