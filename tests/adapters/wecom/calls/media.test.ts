import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { MediaType } from '../../../../src/adapters/wecom/calls/media.js'
import { HOUR_MS } from '../../../../src/time.js'
import { PNG, START } from '../../../sandbox/support.js'
import { waitUntil } from '../../../support/wait-until.js'
import { codeOf, openStand, type Stand } from '../stand.js'

const MB = 1024 * 1024
let stand: Stand
beforeEach(async () => {
  stand = await openStand()
})
afterEach(() => stand.close())

/** A file that begins with these bytes and is this long. */
function file(head: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size)
  bytes.set(head.subarray(0, size))
  return bytes
}
const JPG = Uint8Array.from([0xff, 0xd8, 0xff, 0xe0])
const MP4 = Uint8Array.from(Buffer.from('\0\0\0\x18ftypmp42'))
/** Frames of 32 bytes, 20 ms each (type 7, 12.2 kbit/s). */
function voice(frames: number): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.alloc(6 + frames * 32)
  bytes.write('#!AMR\n')
  for (let n = 0; n < frames; n++) bytes[6 + n * 32] = 7 << 3
  return Uint8Array.from(bytes)
}
/** A film of so many seconds, as its header says. */
function film(seconds: number): Uint8Array<ArrayBuffer> {
  const header = Buffer.alloc(40)
  header.write('mvhd')
  header.writeUInt32BE(1_000, 16)
  header.writeUInt32BE(seconds * 1_000, 20)
  return Uint8Array.from(Buffer.concat([MP4, header]))
}

describe('uploads', () => {
  it.each<[string, MediaType, Uint8Array<ArrayBuffer>, number | undefined]>([
    ['a picture of 10 MB', 'image', file(PNG, 10 * MB), undefined],
    ['a picture of 10 MB and a byte', 'image', file(PNG, 10 * MB + 1), 40006],
    ['a JPG', 'image', file(JPG, 100), undefined],
    ['a picture that is none', 'image', file(MP4, 100), 40004],
    ['60 s of voice', 'voice', voice(3_000), undefined],
    ['60.02 s of voice', 'voice', voice(3_001), 45007],
    ['voice of 2 MB and a byte', 'voice', file(voice(1), 2 * MB + 1), 40006],
    ['voice that is not AMR', 'voice', file(MP4, 100), 301017],
    ['a film of 10 MB', 'video', file(MP4, 10 * MB), undefined],
    ['a film of 10 MB and a byte', 'video', file(MP4, 10 * MB + 1), 40006],
    ['a film that is none', 'video', file(PNG, 100), 40004],
    ['a file of 20 MB', 'file', file(JPG, 20 * MB), undefined],
    ['a file of 20 MB and a byte', 'file', file(JPG, 20 * MB + 1), 40006],
    ['a file of 6 bytes', 'file', file(JPG, 6), undefined],
    ['a file of 5 bytes', 'file', file(JPG, 5), 40006],
    ['an empty file', 'file', file(JPG, 0), 44001],
  ])('of %s', async (_name, type, bytes, code) => {
    expect(await codeOf(stand.client.media.upload(type, 'a', bytes))).toBe(code)
  })

  it('live three days, for every app of the company', async () => {
    const bytes = Uint8Array.from(Buffer.from('内容 0123456789'))
    const id = await stand.client.media.upload('file', 'a.txt', bytes)
    const got = await stand.other.media.get(id)
    expect(Buffer.from(got.bytes)).toEqual(Buffer.from(bytes))
    expect(got.fileName).toBe('a.txt')
    await stand.sandbox.advanceTo(new Date(START.getTime() + 72 * HOUR_MS - 1_000))
    expect(await codeOf(stand.client.media.get(id))).toBeUndefined()
    await stand.sandbox.advanceTo(new Date(START.getTime() + 72 * HOUR_MS))
    expect(await codeOf(stand.client.media.get(id))).toBe(40007)
  })

  it('of voice are had in high quality, other files are not', async () => {
    const { media } = stand.client
    const spoken = await media.upload('voice', 'a.amr', voice(10))
    expect((await media.getVoice(spoken)).bytes).toHaveLength(6 + 320)
    expect(await codeOf(media.getVoice(await media.upload('file', 'a', voice(10))))).toBe(40007)
  })

  it.each([
    [2 * MB, undefined],
    [2 * MB + 1, 40006],
  ])('of a lasting picture of %d bytes: code %s', async (size, code) => {
    expect(await codeOf(stand.client.media.uploadImage('a.png', file(PNG, size)))).toBe(code)
  })

  it('for moments and the album are checked for their kind and length', async () => {
    const { media } = stand.client
    expect(await codeOf(media.uploadAttachment('moment', 'video', 'a.mp4', film(30)))).toBeUndefined()
    expect(await codeOf(media.uploadAttachment('moment', 'video', 'a.mp4', film(31)))).toBe(41082)
    expect(await codeOf(media.uploadAttachment('moment', 'video', 'a.mp4', file(PNG, 100)))).toBe(41090)
    expect(await codeOf(media.uploadAttachment('moment', 'image', 'a.png', file(MP4, 100)))).toBe(40123)
    expect(await codeOf(media.uploadAttachment('album', 'video', 'a.mp4', film(3)))).toBe(41072)
    expect(await codeOf(media.uploadAttachment('album', 'image', 'a.png', file(PNG, 10 * MB + 1)))).toBe(41080)
  })
})

describe('uploads by address', () => {
  const content = Buffer.from('0123456789')
  const md5 = createHash('md5').update(content).digest('hex')
  let host: Server
  let withRange: boolean
  beforeEach(async () => {
    withRange = true
    host = createServer((_req, res) => {
      res.statusCode = withRange ? 206 : 200
      res.end(content)
    })
    await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve))
  })
  afterEach(() => new Promise((resolve) => host.close(resolve)))
  const url = () => `http://127.0.0.1:${(host.address() as AddressInfo).port}/a.txt`
  /** The download runs in real time, outside of any request. */
  async function finished(jobId: string) {
    const ask = () => stand.client.media.uploadResult(jobId)
    await waitUntil(async () => (await ask()).kind !== 'running', { what: 'the upload' })
    return ask()
  }

  it('end with an id, and a callback', async () => {
    const { media } = stand.client
    const jobId = await media.uploadByUrl({ type: 'file', fileName: 'a.txt', url: url(), md5 })
    const result = await finished(jobId)
    if (result.kind !== 'done') throw new Error(JSON.stringify(result))
    expect(Buffer.from((await media.get(result.mediaId)).bytes)).toEqual(content)
    await stand.sandbox.advanceTo(new Date(START.getTime() + 1_000))
    expect(stand.events('upload_media_job_finish')).toMatchObject([{ JobId: jobId }])
    await stand.sandbox.advanceTo(new Date(START.getTime() + HOUR_MS + 1_000))
    expect(await codeOf(media.uploadResult(jobId))).toBe(40058)
  })

  it('fail when the sum differs, the host knows no ranges, or the kind is wrong', async () => {
    const { media } = stand.client
    const start = { type: 'file', fileName: 'a.txt', url: url(), md5 } as const
    expect(await finished(await media.uploadByUrl({ ...start, md5: '0'.repeat(32) }))).toEqual({ kind: 'failed', errcode: 301019 })
    expect(await finished(await media.uploadByUrl({ ...start, type: 'video' }))).toEqual({ kind: 'failed', errcode: 40004 })
    withRange = false
    expect(await finished(await media.uploadByUrl(start))).toEqual({ kind: 'failed', errcode: 40058 })
    await expect(media.uploadByUrl({ ...start, url: `${url()}?${'a'.repeat(1_024)}` })).rejects.toThrow(/1024 bytes/)
  }) // prettier-ignore
})
