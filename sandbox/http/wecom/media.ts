import { z } from 'zod'
import { hashKey } from '../../../src/random.js'
import { DAY_MS, HOUR_MS, SECOND_MS } from '../../../src/time.js'
import { type Objects, openObjects } from '../../objects.js'
import type { World } from '../../world/world.js'
import { download } from '../core/download.js'
import { type Call, checkBytes, type Endpoints, OptionalText, read, Refusal, type Reply } from '../core/endpoint.js'
import { isMp4, isPicture, mp4Seconds, voiceSeconds } from './media-formats.js'

const MB = 1024 * 1024
/** Page 90253: largest upload of each kind in bytes. */
const MAX_BYTES = { image: 10 * MB, voice: 2 * MB, video: 10 * MB, file: 20 * MB }
export type MediaType = keyof typeof MAX_BYTES
/** An upload must be larger than this. */
const MIN_BYTES = 5
const MAX_VOICE_SECONDS = 60
const TEMPORARY_MS = 3 * DAY_MS
const IMAGE_URL_MAX_BYTES = 2 * MB
const PICTURE_URL = 'https://p.qpic.cn/sandbox/'
/** Page 95098: what an attachment is for, which kinds that takes, and how long a moment's video may be. */
const ATTACHMENT_SCENES: Record<string, { scene: Scene; types: readonly MediaType[] }> = {
  '1': { scene: 'moments', types: ['image', 'video'] },
  '2': { scene: 'album', types: ['image'] },
}
const MAX_MOMENT_VIDEO_SECONDS = 30
/** Page 96488: how long the result of an upload by address is kept. */
const JOB_MS = HOUR_MS

/** An id is good only where it was uploaded for; `permanent` ones are addresses, not ids. */
export type Scene = 'temporary' | 'permanent' | 'moments' | 'album' | `webhook ${string}`
type Job = { createdMs: number; status: 1 | 2 | 3; errcode: number; errmsg: string; mediaId?: string }

/** Temporary media, three days, and permanent picture addresses (pages 90253, 90254, 90255, 90256, 95098, 96488). */
export function mediaEndpoints(world: World): Endpoints {
  return {
    '/cgi-bin/media/upload': { writes: true, handle: (call) => upload(world, call) },
    '/cgi-bin/media/uploadimg': { writes: true, handle: (call) => uploadimg(world, call) },
    '/cgi-bin/media/upload_attachment': { writes: true, handle: (call) => uploadAttachment(world, call) },
    '/cgi-bin/media/upload_by_url': { writes: true, handle: (call) => uploadByUrl(world, call) },
    '/cgi-bin/media/get_upload_by_url_result': { handle: (call) => getUploadByUrlResult(world, call) },
    '/cgi-bin/media/get': { handle: (call) => fileOf(world, call) },
    '/cgi-bin/media/get/jssdk': { handle: (call) => fileOf(world, call, 'voice') },
  }
}

function jobsOf({ state, seed }: World): Objects<Job> {
  return openObjects<Job>(state, seed, 'upload_job')
}

function upload(world: World, call: Call): Reply {
  const { type, mediaId } = uploadMedia(world, call, 'temporary')
  return { type, media_id: mediaId, created_at: String(Math.floor(call.now.getTime() / SECOND_MS)) }
}

function uploadimg(world: World, { raw, contentType, now }: Call): Reply {
  const part = mediaPart(raw, contentType)
  checkSize(part.content, IMAGE_URL_MAX_BYTES)
  if (!isPicture(part.content)) throw new Refusal(40004, 'invalid media type')
  return { url: `${PICTURE_URL}${storeMedia(world, 'image', part, 'permanent', now)}/0` }
}

function uploadAttachment(world: World, { params, raw, contentType, now }: Call): Reply {
  const { media_type: type, attachment_type: purpose } = read(
    z.object({ media_type: OptionalText, attachment_type: z.coerce.string() }),
    params,
  )
  const wanted = ATTACHMENT_SCENES[purpose]
  if (wanted === undefined) throw new Refusal(40058, 'attachment_type invalid. invalid Request Parameter')
  if (!isMediaType(type)) throw new Refusal(40005, 'invalid media_type')
  if (!wanted.types.includes(type)) throw new Refusal(41072, 'attachment_type and media_type do not fit')
  const part = mediaPart(raw, contentType)
  checkSize(part.content, MAX_BYTES[type], 41080)
  if (type === 'image' && !isPicture(part.content)) throw new Refusal(40123, 'invalid image')
  if (type === 'video' && !isMp4(part.content)) throw new Refusal(41090, 'invalid video format')
  if (type === 'video' && mp4Seconds(part.content) > MAX_MOMENT_VIDEO_SECONDS)
    throw new Refusal(41082, 'video duration out of limit')
  const mediaId = storeMedia(world, type, part, wanted.scene, now)
  return { type, media_id: mediaId, created_at: Math.floor(now.getTime() / SECOND_MS) }
}

function uploadByUrl(world: World, { params, now }: Call): Reply {
  const jobs = jobsOf(world)
  const Body = z.object({
    scene: z.literal(1),
    type: z.enum(['video', 'file']),
    filename: z.string().min(1),
    url: z.string().min(1),
    md5: z.string().regex(/^[0-9a-f]{32}$/i),
  })
  const { type, filename, url, md5 } = read(Body, params)
  checkBytes('filename', filename, 128)
  checkBytes('url', url, 1_024)
  const jobId = jobs.newId('jobid', 43)
  jobs.put(jobId, { createdMs: now.getTime(), status: 1, errcode: 0, errmsg: 'ok' })
  void fetchInto(world, jobId, { type, filename, url, md5 }, now)
  return { jobid: jobId }
}

function getUploadByUrlResult(world: World, { params, now }: Call): Reply {
  const jobs = jobsOf(world)
  const { jobid } = read(z.object({ jobid: z.string().min(1) }), params)
  const job = jobs.get(jobid)
  if (job === undefined || now.getTime() > job.createdMs + JOB_MS)
    throw new Refusal(40058, 'jobid invalid. invalid Request Parameter')
  const { status, errcode, errmsg, mediaId } = job
  if (status === 1) return { status }
  const createdAt = String(Math.floor(job.createdMs / SECOND_MS))
  const made = mediaId === undefined ? {} : { media_id: mediaId, created_at: createdAt }
  return { status, detail: { errcode, errmsg, ...made } }
}

function fileOf(world: World, { params, now }: Call, type?: MediaType) {
  const { media_id: id } = read(z.object({ media_id: OptionalText }), params)
  if (id === undefined) throw new Refusal(41006, 'missing media_id')
  const { file_name: fileName } = mediaOf(world, id, now, type)
  const { content } = world.state.get<{ content: Buffer }>('SELECT content FROM media WHERE media_id = ?', id)!
  return { fileName, content: Buffer.from(content) }
}

/** Fetches outside the request, as the platform does; the app learns the end by a callback and asks for the result. */
async function fetchInto(
  world: World,
  jobId: string,
  { type, filename, url, md5 }: { type: MediaType; filename: string; url: string; md5: string },
  at: Date,
): Promise<void> {
  const jobs = jobsOf(world)
  const fetched = await download(url, md5, MAX_BYTES[type])
  if (world.state.closed) return
  world.write(() => {
    const job = jobs.get(jobId)!
    if (Buffer.isBuffer(fetched)) {
      const part = { fileName: filename, content: fetched }
      const problem = problemOf(type, fetched)
      if (problem === undefined)
        jobs.put(jobId, { ...job, status: 2, mediaId: storeMedia(world, type, part, 'temporary', at) })
      else jobs.put(jobId, { ...job, status: 3, errcode: problem.errcode, errmsg: problem.message })
    } else {
      jobs.put(jobId, { ...job, status: 3, ...fetched })
    }
    world.raise(at, {
      Event: 'upload_media_job_finish',
      JobId: jobId,
    })
  })
}

/** A form with a file under `media`, checked and kept. @throws {Refusal} 40005, 40004, 40006, 41005, 44001, 45007, 301017 */
export function uploadMedia(
  world: World,
  { params, raw, contentType, now }: Call,
  scene: Scene,
  types: readonly MediaType[] = ['image', 'voice', 'video', 'file'],
): { type: MediaType; mediaId: string } {
  const { type } = read(z.object({ type: OptionalText }), params)
  if (!isMediaType(type) || !types.includes(type)) throw new Refusal(40005, 'invalid type')
  const part = mediaPart(raw, contentType)
  const problem = problemOf(type, part.content)
  if (problem !== undefined) throw problem
  return { type, mediaId: storeMedia(world, type, part, scene, now) }
}

/** Temporary media live three days (page 90253), and only for what they were uploaded for. @throws {Refusal} 40007 */
export function checkMedia(
  world: World,
  mediaId: string,
  now: Date,
  type?: MediaType,
  scene: Scene = 'temporary',
): void {
  const row = mediaOf(world, mediaId, now, type)
  if (row.scene !== scene) throw new Refusal(40007, 'invalid media_id')
}

/** Whether `uploadimg` gave it out. */
export function isPictureUrl(world: World, url: string): boolean {
  const id = url.startsWith(PICTURE_URL) ? url.slice(PICTURE_URL.length).split('/')[0]! : ''
  return world.state.get(`SELECT 1 FROM media WHERE media_id = ? AND scene = 'permanent'`, id) !== undefined
}

type MediaRow = { type: MediaType; file_name: string; created_ms: number; scene: Scene }

function mediaOf(world: World, mediaId: string, now: Date, type?: MediaType): MediaRow {
  const row = world.state.get<MediaRow>(
    `SELECT type, file_name, created_ms, scene FROM media WHERE media_id = ? AND scene <> 'permanent'`,
    mediaId,
  )
  if (row === undefined || now.getTime() >= row.created_ms + TEMPORARY_MS || (type !== undefined && row.type !== type))
    throw new Refusal(40007, 'invalid media_id')
  return row
}

function storeMedia(world: World, type: MediaType, part: Part, scene: Scene, now: Date): string {
  const digest = hashKey(64, part.content.toString('base64'))
  const id = `${scene === 'permanent' ? 'pic' : 'media'}${hashKey(60, type, scene, part.fileName, digest, now.getTime())}`
  world.state.run(
    'INSERT OR REPLACE INTO media VALUES (?, ?, ?, ?, ?, ?)',
    id,
    type,
    part.fileName,
    part.content,
    now.getTime(),
    scene,
  )
  return id
}

function isMediaType(type: string | undefined): type is MediaType {
  return type !== undefined && Object.hasOwn(MAX_BYTES, type)
}

/** What is wrong with a file of this kind. */
function problemOf(type: MediaType, content: Buffer): Refusal | undefined {
  if (content.length === 0) return new Refusal(44001, 'empty media data')
  if (content.length <= MIN_BYTES || content.length > MAX_BYTES[type]) return new Refusal(40006, 'invalid media size')
  if (type === 'image' && !isPicture(content)) return new Refusal(40004, 'invalid media type')
  if (type === 'video' && !isMp4(content)) return new Refusal(40004, 'invalid media type')
  if (type !== 'voice') return undefined
  const seconds = voiceSeconds(content)
  if (seconds === undefined) return new Refusal(301017, 'voice is not amr')
  return seconds > MAX_VOICE_SECONDS ? new Refusal(45007, 'playtime over limit') : undefined
}

function checkSize(content: Buffer, max: number, tooLarge = 40006): void {
  if (content.length === 0) throw new Refusal(44001, 'empty media data')
  if (content.length <= MIN_BYTES) throw new Refusal(40006, 'invalid media size')
  if (content.length > max) throw new Refusal(tooLarge, 'invalid media size')
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
