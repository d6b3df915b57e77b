import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

export type PostReply = { status: number; body: string }

/** Sends requests over connections that stay open. Plain Node: an HTTP client of more comfort costs several times as much per callback. */
export class Poster {
  private readonly http: HttpAgent
  private readonly https: HttpsAgent

  /** @param connections - per receiver */
  constructor(connections: number) {
    this.http = new HttpAgent({ keepAlive: true, maxSockets: connections })
    this.https = new HttpsAgent({ keepAlive: true, maxSockets: connections })
  }

  /** @throws {Error} when no answer came within `timeoutMs`, or the signal ended it */
  send(method: 'GET' | 'POST', url: URL, body: string, timeoutMs: number, signal: AbortSignal): Promise<PostReply> {
    const isHttps = url.protocol === 'https:'
    const options = {
      method,
      agent: isHttps ? this.https : this.http,
      timeout: timeoutMs,
      headers: method === 'POST' ? { 'content-type': 'text/xml', 'content-length': Buffer.byteLength(body) } : {},
    }
    return new Promise((resolve, reject) => {
      const onReply = (reply: IncomingMessage) => {
        const chunks: Buffer[] = []
        reply.on('data', (chunk: Buffer) => chunks.push(chunk))
        reply.on('end', () => {
          signal.removeEventListener('abort', onAbort)
          resolve({ status: reply.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') })
        })
        reply.on('error', reject)
      }
      const sent = (isHttps ? httpsRequest : httpRequest)(url, options, onReply)
      const onAbort = () => sent.destroy(new Error('hung up'))
      if (signal.aborted) onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)))
      sent.on('error', (err) => {
        signal.removeEventListener('abort', onAbort)
        reject(err)
      })
      sent.end(body)
    })
  }

  /** May be called twice. */
  close(): void {
    this.http.destroy()
    this.https.destroy()
  }
}
