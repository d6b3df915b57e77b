export type Reply = { status: number; body: string }

const MAX_HEAD_BYTES = 64 * 1024
const MAX_BODY_BYTES = 4 * 1024 * 1024

/**
 * Reads one HTTP/1.x reply out of what a connection has received (RFC 9112): its body by length, in chunks, or up to the
 * end of the connection; interim replies (1xx) are passed over.
 *
 * @param isEnd - the other side sends no more
 * @returns the reply, where the next one begins, and whether the connection ends with this one; `undefined`: not all there yet
 * @throws {Error} when it is not HTTP, or too long
 */
export function readReply(
  received: Buffer,
  from: number,
  isEnd: boolean,
): { reply: Reply; end: number; isLast: boolean } | undefined {
  const headEnd = received.indexOf('\r\n\r\n', from, 'latin1')
  if (headEnd < 0) {
    if (received.length - from > MAX_HEAD_BYTES) throw new Error('the answer has no end of its headers')
    return undefined
  }
  const head = received.toString('latin1', from, headEnd + 2)
  const first = /^HTTP\/1\.([01]) (\d{3})[ \r]/.exec(head)
  if (first === null) throw new Error('the answer is not HTTP')
  const status = Number(first[2])
  const bodyFrom = headEnd + 4
  if (status < 200) return readReply(received, bodyFrom, isEnd)
  const connection = /\r\nconnection:[ \t]*([^\r]*)/i.exec(head)?.[1] ?? ''
  const isLast = first[1] === '0' ? !/keep-alive/i.test(connection) : /close/i.test(connection)
  const whole = (text: string, end: number) => ({ reply: { status, body: text }, end, isLast })

  if (status === 204 || status === 304) return whole('', bodyFrom)
  if (/\r\ntransfer-encoding:[^\r]*chunked/i.test(head)) {
    const chunks = readChunks(received, bodyFrom)
    return chunks === undefined ? undefined : whole(chunks.body.toString('utf8'), chunks.end)
  }
  const length = /\r\ncontent-length:[ \t]*(\d+)/i.exec(head)?.[1]
  if (length === undefined) {
    checkLength(received.length - bodyFrom)
    if (!isEnd) return undefined
    return { ...whole(received.toString('utf8', bodyFrom), received.length), isLast: true }
  }
  const end = bodyFrom + Number(length)
  checkLength(Number(length))
  return received.length < end ? undefined : whole(received.toString('utf8', bodyFrom, end), end)
}

function readChunks(received: Buffer, from: number): { body: Buffer; end: number } | undefined {
  checkLength(received.length - from)
  const parts: Buffer[] = []
  for (let at = from; ;) {
    const lineEnd = received.indexOf('\r\n', at, 'latin1')
    if (lineEnd < 0) return undefined
    const size = /^[0-9a-f]+/i.exec(received.toString('latin1', at, lineEnd))?.[0]
    if (size === undefined) throw new Error('the answer has a chunk without a size')
    const start = lineEnd + 2
    const end = start + Number.parseInt(size, 16)
    if (end === start) return afterTrailers(received, start, parts)
    if (received.length < end + 2) return undefined
    parts.push(received.subarray(start, end))
    at = end + 2
  }
}

/** Fields after the last chunk, up to an empty line. */
function afterTrailers(received: Buffer, from: number, parts: Buffer[]): { body: Buffer; end: number } | undefined {
  for (let at = from; ;) {
    const lineEnd = received.indexOf('\r\n', at, 'latin1')
    if (lineEnd < 0) return undefined
    if (lineEnd === at) return { body: Buffer.concat(parts), end: at + 2 }
    at = lineEnd + 2
  }
}

function checkLength(bytes: number): void {
  if (bytes > MAX_BODY_BYTES) throw new Error(`the answer is longer than ${MAX_BODY_BYTES} bytes`)
}
