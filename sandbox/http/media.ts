import { z } from 'zod'
import { hashKey } from '../../src/random.js'
import { DAY_MS, SECOND_MS, toDay } from '../../src/time.js'
import { PLATFORM_TIME_ZONE } from '../world/calendar.js'
import type { World } from '../world/world.js'
import { type Endpoints, OptionalText, read, Refusal } from './endpoint.js'

const MB = 1024 * 1024
/** Page 90253: largest upload of each kind in bytes. */
const MAX_BYTES: Record<string, number> = { image: 10 * MB, voice: 2 * MB, video: 10 * MB, file: 20 * MB }
const MIN_BYTES = 5
const IMAGE_URL_MAX_BYTES = 2 * MB
const IMAGE_URLS_PER_DAY = 1_000

/** Temporary media, three days, and permanent picture addresses (pages 90253, 90254, 90256). */
export function mediaEndpoints(world: World, limits: boolean): Endpoints {
  const { state } = world
  const store = (type: string, part: Part, now: Date, permanent: boolean): string => {
    const id = `${permanent ? 'pic' : 'media'}${hashKey(60, type, part.fileName, hashKey(64, part.content.toString('base64')), now.getTime())}`
    state.run(
      'INSERT OR REPLACE INTO media VALUES (?, ?, ?, ?, ?, ?)',
      id,
      type,
      part.fileName,
      part.content,
      now.getTime(),
      permanent ? 1 : 0,
    )
    return id
  }
  return {
    '/cgi-bin/media/upload': {
      writes: true,
      handle: ({ params, raw, contentType, now }) => {
        const { type } = read(z.object({ type: OptionalText }), params)
        const max = MAX_BYTES[type ?? '']
        if (type === undefined || max === undefined) throw new Refusal(40005, 'invalid type')
        const part = mediaPart(raw, contentType)
        checkSize(part, max)
        return {
          type,
          media_id: store(type, part, now, false),
          created_at: String(Math.floor(now.getTime() / SECOND_MS)),
        }
      },
    },
    '/cgi-bin/media/uploadimg': {
      writes: true,
      handle: ({ raw, contentType, now }) => {
        const part = mediaPart(raw, contentType)
        checkSize(part, IMAGE_URL_MAX_BYTES)
        const counter = `uploadimg ${toDay(now, PLATFORM_TIME_ZONE)}`
        if (limits && (state.counters().get(counter) ?? 0) >= IMAGE_URLS_PER_DAY)
          throw new Refusal(45009, 'api freq out of limit')
        state.count(counter)
        return { url: `https://p.qpic.cn/sandbox/${store('image', part, now, true)}/0` }
      },
    },
    '/cgi-bin/media/get': {
      handle: ({ params, now }) => {
        const { media_id: id } = read(z.object({ media_id: OptionalText }), params)
        if (id === undefined) throw new Refusal(41006, 'missing media_id')
        const row = state.get<{ file_name: string; content: Buffer; created_ms: number }>(
          'SELECT file_name, content, created_ms FROM media WHERE media_id = ? AND permanent = 0',
          id,
        )
        if (row === undefined || now.getTime() >= row.created_ms + 3 * DAY_MS)
          throw new Refusal(40007, 'invalid media_id')
        return { fileName: row.file_name, content: Buffer.from(row.content) }
      },
    },
  }
}

function checkSize(part: Part, max: number): void {
  if (part.content.length === 0) throw new Refusal(44001, 'empty media data')
  if (part.content.length <= MIN_BYTES || part.content.length > max) throw new Refusal(40006, 'invalid media size')
}

type Part = { fileName: string; content: Buffer }

/** The file in the form field `media`. @throws {Refusal} 41005 */
function mediaPart(raw: Buffer, contentType: string): Part {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1]
  const missing = new Refusal(41005, 'media data missing')
  if (boundary === undefined) throw missing
  const mark = Buffer.from(`--${boundary}`)
  for (let at = raw.indexOf(mark); at >= 0;) {
    const next = raw.indexOf(mark, at + mark.length)
    if (next < 0) break
    const head = raw.indexOf('\r\n\r\n', at)
    const headers = raw.toString('utf8', at, Math.max(at, head))
    if (head > 0 && head < next && /name="media"/.test(headers)) {
      return { fileName: /filename="([^"]*)"/.exec(headers)?.[1] ?? 'media', content: raw.subarray(head + 4, next - 2) }
    }
    at = next
  }
  throw missing
}
