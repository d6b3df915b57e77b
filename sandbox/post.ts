import { Agent, request } from 'node:https'
import { PlainHttp, type Reply } from './plain-http.js'

/** Sends requests over connections that stay open. */
export class Poster {
  private readonly http: PlainHttp
  private readonly https: Agent

  /** @param connections - per receiver; with fewer than there are requests at once, plain ones follow each other without waiting */
  constructor(connections: number) {
    this.http = new PlainHttp(connections)
    this.https = new Agent({ keepAlive: true, maxSockets: connections })
  }

  /**
   * @param query - added to what the URL has
   * @throws {Error} when no answer came within `timeoutMs`, or the poster was closed
   */
  send(method: 'GET' | 'POST', to: URL, query: string, body: string, timeoutMs: number): Promise<Reply> {
    const path = `${to.pathname}${to.search === '' ? '?' : `${to.search}&`}${query}`
    return to.protocol === 'https:'
      ? this.sendEncrypted(method, to, path, body, timeoutMs)
      : this.http.send(method, to, path, body, timeoutMs)
  }

  /** What waits for an answer fails. May be called twice. */
  close(): void {
    this.http.close()
    this.https.destroy()
  }

  private sendEncrypted(method: string, to: URL, path: string, body: string, timeoutMs: number): Promise<Reply> {
    const headers = method === 'POST' ? { 'content-type': 'text/xml', 'content-length': Buffer.byteLength(body) } : {}
    const options = { method, path, agent: this.https, timeout: timeoutMs, headers }
    return new Promise((resolve, reject) => {
      const sent = request(to, options, (reply) => {
        const chunks: Buffer[] = []
        reply.on('data', (chunk: Buffer) => chunks.push(chunk))
        reply.on('end', () => resolve({ status: reply.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }))
        reply.on('error', reject)
      })
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)))
      sent.on('error', reject)
      sent.end(body)
    })
  }
}
