import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConflictError, messageOf } from '../../../src/errors.js'
import type { Log } from '../../../src/log.js'
import type { Handler } from './handle.js'

/** Above the largest upload of the platform (20 MB) with room for its form. */
const MAX_BODY_BYTES = 32 * 1024 * 1024
const KEEP_ALIVE_MS = 60_000

/** Puts the handler on a port of 127.0.0.1. @throws {ConflictError} when the port is taken. */
export async function openServer(
  handle: Handler['handle'],
  port: number,
  log: Log,
): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (req, res) => {
    serve(handle, req, res).catch((err: unknown) => {
      log.error('sandbox request failed', { cause: messageOf(err) })
      req.destroy()
    })
  })
  await listen(server, port)
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function serve(handle: Handler['handle'], req: IncomingMessage, res: ServerResponse): Promise<void> {
  let isGone = false
  let gone: AbortController | undefined
  res.once('close', () => {
    isGone = !res.writableEnded
    if (isGone) gone?.abort()
  })
  const body = await readBody(req)
  if (body === undefined) return
  const answer = await handle({
    method: req.method ?? 'GET',
    url: req.url ?? '/',
    headers: req.headers,
    body,
    ...(req.socket.remoteAddress === undefined ? {} : { ip: req.socket.remoteAddress }),
    // A controller costs as much as a small call, and few calls wait for anything.
    get signal() {
      gone ??= new AbortController()
      if (isGone) gone.abort()
      return gone.signal
    },
  })
  if (isGone) return
  if (answer === undefined) {
    req.socket.destroy()
    return
  }
  res.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length })
  res.end(answer.body)
}

/** The whole body; `undefined` when the client hung up first. */
function readBody(req: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    req.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_BODY_BYTES) reject(new RangeError(`request body above ${MAX_BODY_BYTES} bytes`))
      else chunks.push(chunk)
    })
    req.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    req.on('error', () => resolve(undefined)) // a client that hangs up is not our failure
    req.on('close', () => resolve(undefined)) // after `end` this changes nothing
  })
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (err: NodeJS.ErrnoException) =>
      reject(
        err.code === 'EADDRINUSE'
          ? new ConflictError(
              `port ${port} is in use: stop what listens there or choose another with --port`,
              { port },
              { cause: err },
            )
          : err,
      ),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
}
