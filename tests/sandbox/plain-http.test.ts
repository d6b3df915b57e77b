import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { readReply } from '../../sandbox/http-reply.js'
import { PlainHttp } from '../../sandbox/plain-http.js'
import { PATIENCE_MS } from './support.js'

const open: { close: () => void }[] = []
afterEach(() => {
  for (const one of open.splice(0)) one.close()
})

/** Says what it is told to, for every so many requests that came on a connection. */
async function server(onRequests: (socket: Socket, requests: string[], nth: number) => void): Promise<URL> {
  const sockets: Socket[] = []
  const listening: Server = createServer((socket) => {
    const nth = sockets.push(socket)
    socket.on('data', (chunk) =>
      onRequests(socket, chunk.toString().split(/(?=POST )/), nth), // bodies here have no capital POST
    ) // prettier-ignore
    socket.on('error', () => undefined) // tests hang up
  })
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  open.push({
    close: () => {
      listening.close()
      for (const socket of sockets) socket.destroy()
    },
  })
  return new URL(`http://127.0.0.1:${(listening.address() as AddressInfo).port}/callback`)
}

function http(connections: number): PlainHttp {
  const made = new PlainHttp(connections)
  open.push(made)
  return made
}

const ok = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`

describe('the plain HTTP client', () => {
  it("speaks to Node's server, with a body, a query and the login of the URL", async () => {
    const seen: unknown[] = []
    const node = createHttpServer((req, res) => {
      const chunks: Buffer[] = []
      req.on('data', (chunk: Buffer) => chunks.push(chunk))
      req.on('end', () => {
        seen.push([req.method, req.url, req.headers.authorization, Buffer.concat(chunks).toString('utf8')])
        res.write('你') // in chunks, since no length is given
        res.end('好')
      })
    })
    await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve))
    open.push({ close: () => node.closeAllConnections() }, node)
    const to = new URL(`http://me:p%40ss@127.0.0.1:${(node.address() as AddressInfo).port}/`)
    const client = http(1)
    expect(await client.send('POST', to, '/a?b=1', '<xml>导购</xml>', PATIENCE_MS)).toEqual({
      status: 200,
      body: '你好',
    })
    expect((await client.send('GET', to, '/c', '', PATIENCE_MS)).status).toBe(200)
    const login = `Basic ${Buffer.from('me:p@ss').toString('base64')}`
    expect(seen).toEqual([
      ['POST', '/a?b=1', login, '<xml>导购</xml>'],
      ['GET', '/c', login, ''],
    ])
  })

  it('writes what is asked in one turn at once, and gives each request its own answer', async () => {
    const batches: number[] = []
    const to = await server((socket, requests) => {
      batches.push(requests.length)
      const answers = requests.map((request) => ok(/^POST \/(\d+)/.exec(request)![1]!)).join('')
      socket.write(answers.slice(0, 50)) // an answer may come in pieces
      setTimeout(() => socket.write(answers.slice(50)), 5)
    })
    const client = http(1)
    const replies = await Promise.all([1, 2, 3, 4].map((n) => client.send('POST', to, `/${n}`, 'x', PATIENCE_MS)))
    expect(replies.map((reply) => reply.body)).toEqual(['1', '2', '3', '4'])
    expect(batches).toEqual([4])
  })

  it('uses a connection for each request while there are enough', async () => {
    const nths: number[] = []
    const to = await server((socket, requests, nth) => {
      nths.push(nth)
      expect(requests).toHaveLength(1)
      setTimeout(() => socket.write(ok('')), 10)
    })
    const client = http(2)
    await Promise.all([client.send('POST', to, '/', '', PATIENCE_MS), client.send('POST', to, '/', '', PATIENCE_MS)])
    await client.send('POST', to, '/', '', PATIENCE_MS) // on one that is kept
    expect(nths.sort()).toEqual([1, 1, 2])
  })

  it('asks again on another connection what a server that closes has not looked at', async () => {
    const to = await server((socket, requests, nth) => {
      const path = /^POST \/(\d)/.exec(requests[0]!)![1]!
      if (nth === 1) socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n${path}`)
      else socket.write(requests.map((request) => ok(/^POST \/(\d)/.exec(request)![1]!)).join(''))
    })
    const client = http(1)
    const replies = await Promise.all([1, 2, 3].map((n) => client.send('POST', to, `/${n}`, '', PATIENCE_MS)))
    expect(replies.map((reply) => reply.body)).toEqual(['1', '2', '3'])
  })

  it('says when no answer comes in time, when the connection breaks, and when it is hung up', async () => {
    const to = await server((socket, requests) => {
      if (requests[0]!.startsWith('POST /break')) socket.destroy()
      if (requests[0]!.startsWith('POST /other')) socket.write('SSH-2.0-OpenSSH_9.6\r\n\r\n')
    })
    const client = http(1)
    await expect(client.send('POST', to, '/silent', '', 20)).rejects.toThrow('no answer within 20 ms')
    await expect(client.send('POST', to, '/break', '', PATIENCE_MS)).rejects.toThrow('closed before the answer')
    await expect(client.send('POST', to, '/other', '', PATIENCE_MS)).rejects.toThrow('not HTTP')
    await expect(client.send('POST', new URL('http://127.0.0.1:9/'), '/', '', PATIENCE_MS)).rejects.toThrow(
      'ECONNREFUSED',
    )
    const waiting = client.send('POST', to, '/silent', '', PATIENCE_MS)
    client.close()
    await expect(waiting).rejects.toThrow('hung up')
    await expect(client.send('POST', to, '/', '', PATIENCE_MS)).rejects.toThrow('hung up')
  })
})

describe('readReply', () => {
  const read = (text: string, isEnd = false) => readReply(Buffer.from(text), 0, isEnd)

  it('waits for the whole reply, wherever it is cut', () => {
    for (const text of [
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nsum: 1\r\n\r\n',
    ]) {
      for (let length = 0; length < text.length; length++) expect(read(text.slice(0, length))).toBeUndefined()
      const expected = { reply: { status: 200, body: 'hello' }, end: text.length, isLast: false }
      expect(read(`${text}HTTP/1.1 404`)).toEqual(expected)
    }
  })

  it('reads up to the end of the connection where no length is given, and no body where there is none', () => {
    const text = 'HTTP/1.0 502 Bad Gateway\r\nServer: proxy\r\n\r\n<html>'
    expect(read(text)).toBeUndefined()
    expect(read(text, true)).toEqual({ reply: { status: 502, body: '<html>' }, end: text.length, isLast: true })
    expect(read('HTTP/1.1 204 No Content\r\n\r\n')?.reply).toEqual({ status: 204, body: '' })
    expect(read('HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\n\r\n')?.isLast).toBe(false)
  })

  it('refuses what is endless or not HTTP', () => {
    expect(() => read('HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n')).toThrow('longer than')
    expect(() => read(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(70_000)}`)).toThrow('no end of its headers')
    expect(() => read('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n')).toThrow('without a size')
  })
})
