import { open } from 'node:fs/promises'
import { Transform } from 'node:stream'
import { constants, gunzipSync } from 'node:zlib'

/** How the bytes of a file stand for characters. GBK and GB2312 are parts of GB18030. */
export const ENCODINGS = ['utf-8', 'gb18030', 'utf-16le', 'utf-16be'] as const
export type Encoding = (typeof ENCODINGS)[number]

/** So much of a file is looked at to find out how it is written. */
const SAMPLE_BYTES = 1 << 20

/** A byte that stands for nothing in the encoding of its file. */
export class UndecodableError extends Error {
  constructor(
    readonly encoding: Encoding,
    /** 1-based line. */
    readonly line: number,
  ) {
    super(`line ${line} is not ${encoding}`)
  }
}

/** The beginning of a file, unpacked. */
export async function readSample(file: string, isPacked: boolean): Promise<Buffer> {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(SAMPLE_BYTES), 0, SAMPLE_BYTES, 0)
    const bytes = buffer.subarray(0, bytesRead)
    if (!isPacked) return bytes
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, SAMPLE_BYTES)
  } finally {
    await handle.close()
  }
}

/** How a file is written, by its beginning: its mark, the zero bytes of UTF-16, valid UTF-8, else GB18030 where it is valid. */
export function findEncoding(sample: Buffer): Encoding | undefined {
  if (sample[0] === 0xff && sample[1] === 0xfe) return 'utf-16le'
  if (sample[0] === 0xfe && sample[1] === 0xff) return 'utf-16be'
  const zeros = [0, 0]
  for (const [i, byte] of sample.subarray(0, 4_096).entries()) if (byte === 0) zeros[i % 2]!++
  const [even = 0, odd = 0] = zeros
  if (even + odd > 16 && even !== odd) return odd > even ? 'utf-16le' : 'utf-16be'
  return (['utf-8', 'gb18030'] as const).find((encoding) => isWrittenIn(sample, encoding))
}

function isWrittenIn(sample: Buffer, encoding: Encoding): boolean {
  try {
    // More may come: a character that the sample cuts is none that is wrong.
    new TextDecoder(encoding, { fatal: true }).decode(sample, { stream: true })
    return true
  } catch {
    return false // another encoding: that is the answer
  }
}

/** The beginning as text; what cannot be read stands as U+FFFD. */
export function decodeSample(sample: Buffer, encoding: Encoding): string {
  return new TextDecoder(encoding).decode(sample, { stream: true })
}

/**
 * Bytes in, text out, without the mark at the beginning. A file that is all ASCII at first is taken for UTF-8, and read as GB18030 from
 * where that shows, when nothing has said which it is.
 *
 * @throws {UndecodableError} into the stream, with the line
 */
export function decodeStream(encoding: Encoding, isStated: boolean): Transform {
  let decoder = new TextDecoder(encoding, { fatal: true })
  let current = encoding
  let isAscii = true
  let line = 1
  /** Bytes that wait in the decoder for the rest of their character, while all before was ASCII. */
  let waiting: Buffer = Buffer.alloc(0)
  const decode = (chunk: Buffer, isLast: boolean): string => {
    try {
      const text = decoder.decode(chunk, { stream: !isLast })
      if (isAscii) waiting = Buffer.concat([waiting, chunk]).subarray(text.length)
      return text
    } catch (err) {
      if (isStated || current !== 'utf-8' || !isAscii) throw err
      current = 'gb18030'
      decoder = new TextDecoder(current, { fatal: true })
      return decoder.decode(Buffer.concat([waiting, chunk]), { stream: !isLast })
    }
  }
  const take = (chunk: Buffer, isLast: boolean, done: (err: Error | null, text?: string) => void): void => {
    try {
      const text = decode(chunk, isLast)
      // eslint-disable-next-line no-control-regex -- ASCII is what is asked
      isAscii &&= /^[\x00-\x7f]*$/.test(text)
      line += text.split('\n').length - 1
      done(null, text)
    } catch {
      done(new UndecodableError(current, line + lineWithin(chunk, current)))
    }
  }
  return new Transform({
    readableObjectMode: true,
    transform: (chunk: Buffer, _encoding, done) => take(chunk, false, done),
    flush: (done) => take(Buffer.alloc(0), true, done),
  })
}

/** Lines of a chunk before the one that cannot be decoded. */
function lineWithin(chunk: Buffer, encoding: Encoding): number {
  if (encoding.startsWith('utf-16')) return 0
  let line = 0
  for (let start = 0, end = chunk.indexOf(10); end !== -1; start = end + 1, end = chunk.indexOf(10, start)) {
    if (!isWrittenIn(chunk.subarray(start, end), encoding)) return line
    line++
  }
  return line
}
