import { connect, type Socket } from 'node:net'
import { readReply, type Reply } from './http-reply.js'

export type { Reply } from './http-reply.js'

type Request = {
  text: string
  isAscii: boolean
  timeoutMs: number
  resolve: (reply: Reply) => void
  reject: (err: Error) => void
}

/**
 * An HTTP/1.1 client over kept connections, for plain `http:` and small bodies: no redirects, no proxies, no compression.
 * At a quarter of what Node's own costs, since what is asked in one turn of the event loop goes out in one write. When all
 * connections are busy, requests follow each other on them without waiting for answers (RFC 9112, 9.3.2).
 */
export class PlainHttp {
  private readonly byOrigin = new Map<string, Connection[]>()
  private closed = false

  /** @param connections - to one receiver at most */
  constructor(private readonly connections: number) {}

  /**
   * @param path - with the query
   * @throws {Error} when the connection broke, or no answer came within `timeoutMs` of sending and of the answer before
   */
  send(method: 'GET' | 'POST', to: URL, path: string, body: string, timeoutMs: number): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const login = to.username === '' ? '' : `authorization: Basic ${loginOf(to)}\r\n`
      const length = Buffer.byteLength(body)
      const content = method === 'GET' ? '' : `content-type: text/xml\r\ncontent-length: ${length}\r\n`
      const text = `${method} ${path} HTTP/1.1\r\nhost: ${to.host}\r\n${login}${content}connection: keep-alive\r\n\r\n${body}`
      this.dispatch(to, { text, isAscii: length === body.length, timeoutMs, resolve, reject })
    })
  }

  /** What waits for an answer fails. May be called twice. */
  close(): void {
    this.closed = true
    for (const connection of [...this.byOrigin.values()].flat()) connection.break(new Error('hung up'))
  }

  private dispatch(to: URL, request: Request): void {
    if (this.closed) return request.reject(new Error('hung up'))
    let open = this.byOrigin.get(to.host)
    if (open === undefined) this.byOrigin.set(to.host, (open = []))
    let best: Connection | undefined
    for (const connection of open) if (best === undefined || connection.waiting < best.waiting) best = connection
    if (best === undefined || (best.waiting > 0 && open.length < this.connections)) best = this.open(to, open)
    best.add(request)
  }

  private open(to: URL, open: Connection[]): Connection {
    const connection: Connection = new Connection(to, (unanswered) => {
      open.splice(open.indexOf(connection), 1)
      for (const request of unanswered) this.dispatch(to, request)
    })
    open.push(connection)
    return connection
  }
}

class Connection {
  private readonly socket: Socket
  private readonly asked: Request[] = []
  private unsent = ''
  private unsentIsAscii = true
  private received: Buffer = Buffer.alloc(0)
  private patience: NodeJS.Timeout | undefined
  private ended = false

  /** @param onEnd - told once, with what the other side closed the connection on without having looked at it */
  constructor(
    { hostname, port }: URL,
    private readonly onEnd: (unanswered: readonly Request[]) => void,
  ) {
    this.socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 80 : Number(port) })
    this.socket.setNoDelay(true)
    this.socket.on('data', (chunk: Buffer) => this.read(chunk, false))
    this.socket.on('end', () => this.read(Buffer.alloc(0), true))
    this.socket.on('error', (err) => this.break(err))
    this.socket.on('close', () => this.break(new Error('the connection was closed before the answer came')))
  }

  /** Requests without an answer. */
  get waiting(): number {
    return this.asked.length
  }

  add(request: Request): void {
    this.asked.push(request)
    if (this.unsent === '') setImmediate(() => this.flush())
    this.unsent += request.text
    this.unsentIsAscii &&= request.isAscii
    if (this.asked.length === 1) this.waitFor(request)
  }

  break(err: Error): void {
    this.finish([], err)
  }

  private flush(): void {
    const text = this.unsent
    const encoding = this.unsentIsAscii ? 'latin1' : 'utf8' // the first is a mere copy
    this.unsent = ''
    this.unsentIsAscii = true
    if (!this.ended) this.socket.write(text, encoding)
  }

  private read(chunk: Buffer, isEnd: boolean): void {
    this.received = this.received.length === 0 ? chunk : Buffer.concat([this.received, chunk])
    let from = 0
    while (this.asked.length > 0) {
      let found: ReturnType<typeof readReply>
      try {
        found = readReply(this.received, from, isEnd)
      } catch (err) {
        return this.break(err instanceof Error ? err : new Error(String(err)))
      }
      if (found === undefined) break
      from = found.end
      const { resolve } = this.asked.shift()!
      if (this.asked.length > 0) this.waitFor(this.asked[0]!)
      else clearTimeout(this.patience)
      resolve(found.reply)
      if (found.isLast) return this.finish([...this.asked])
    }
    this.received = this.received.subarray(from)
    if (this.asked.length === 0 && this.received.length > 0) this.break(new Error('an answer that nobody asked for'))
    if (isEnd) this.break(new Error('the connection was closed before the answer came'))
  }

  private waitFor({ timeoutMs }: Request): void {
    clearTimeout(this.patience)
    this.patience = setTimeout(() => this.break(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  }

  private finish(again: readonly Request[], err?: Error): void {
    if (this.ended) return
    this.ended = true
    clearTimeout(this.patience)
    this.socket.destroy()
    const failed = err === undefined ? [] : this.asked.splice(0)
    this.onEnd(again)
    for (const { reject } of failed) reject(err!) // set, or nothing has failed
  }
}

function loginOf({ username, password }: URL): string {
  return Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')
}
