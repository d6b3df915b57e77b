import { z } from 'zod'
import type { Calls } from './calls.js'
import { Bytes, checkRequest } from './content.js'
import { Text, UnixSeconds } from './wire.js'

const MB = 1024 * 1024
/** Largest files in bytes; each must be larger than 5. Pictures are JPG or PNG, voice AMR of at most 60 s, films MP4 (page 90253). */
export const MEDIA_MAX_BYTES = { image: 10 * MB, voice: 2 * MB, video: 10 * MB, file: 20 * MB } as const
export type MediaType = keyof typeof MEDIA_MAX_BYTES

const MediaReply = z.object({ media_id: z.string().min(1), created_at: UnixSeconds })
const FileReply = z.object({ content: z.instanceof(Uint8Array), fileName: Text })
const ImageReply = z.object({ url: z.string().min(1) })
const JobReply = z.object({ jobid: z.string().min(1) })
const JobResultReply = z.object({
  /** 1 under way, 2 done, 3 failed. */
  status: z.number(),
  detail: z.object({ errcode: z.number().default(0), errmsg: Text, media_id: Text, created_at: UnixSeconds.optional() }).nullish(),
}) // prettier-ignore

export type MediaFile = { bytes: Uint8Array; fileName?: string }

const ByUrl = z.object({
  type: z.enum(['video', 'file']),
  fileName: Bytes(128),
  /** Must understand `Range`. */
  url: Bytes(1_024),
  /** Of the file, in hex. */
  md5: z.string().regex(/^[0-9a-f]{32}$/i, '32 hex digits'),
})
export type UploadByUrl = z.input<typeof ByUrl>
export type UploadResult =
  | { kind: 'running' }
  | { kind: 'done'; mediaId: string }
  /** `errcode` e.g. 301019 another md5, 45001 too large. */
  | { kind: 'failed'; errcode: number }

/** Uploads (素材管理). Ids live 3 days, are shared by all apps of the company, and are good only where they were uploaded for. */
export function mediaCalls(calls: Calls) {
  const upload = async (api: string, query: Record<string, string | number>, fileName: string, bytes: FileBytes) =>
    // Repeatable: a second upload is a second id that nobody uses.
    (await calls.read(api, MediaReply, toForm(fileName, bytes), { query })).media_id
  const download = async (api: string, mediaId: string): Promise<MediaFile> => {
    const { content, fileName } = await calls.get(api, FileReply, { media_id: mediaId }, { binary: true })
    return { bytes: content, ...(fileName !== undefined && { fileName }) }
  }
  return {
    /** For messages, welcomes and cards (page 90253). Resolves to the media id. */
    upload: (type: MediaType, fileName: string, bytes: FileBytes): Promise<string> =>
      upload('media/upload', { type }, fileName, bytes),
    /** For moments (image, video of at most 30 s) and the product album (image) alone (page 95098). */
    uploadAttachment: (
      use: 'moment' | 'album',
      type: 'image' | 'video',
      fileName: string,
      bytes: FileBytes,
    ): Promise<string> => {
      const query = { media_type: type, attachment_type: use === 'moment' ? 1 : 2 }
      return upload('media/upload_attachment', query, fileName, bytes)
    },
    /** JPG or PNG up to 2 MB; 1,000 a day. Resolves to a lasting address, the only kind a `pic_url` takes (page 90256). */
    async uploadImage(fileName: string, bytes: FileBytes): Promise<string> {
      return (await calls.read('media/uploadimg', ImageReply, toForm(fileName, bytes))).url
    },
    /** A file by its id, within 3 days of the upload (page 90254). @throws {WecomError} 40007 */
    get: (mediaId: string): Promise<MediaFile> => download('media/get', mediaId),
    /** A voice recording of the JS-SDK, in the high quality of speex (page 90255). */
    getVoice: (mediaId: string): Promise<MediaFile> => download('media/get/jssdk', mediaId),
    /** The platform fetches the file; resolves to a job. Its end is told by a callback `upload_media_job_finish` (page 96488). */
    async uploadByUrl(file: UploadByUrl): Promise<string> {
      const { type, fileName, url, md5 } = checkRequest(ByUrl, file, 'Upload by address')
      return (await calls.read('media/upload_by_url', JobReply, { scene: 1, type, filename: fileName, url, md5 })).jobid
    },
    /** Within an hour of the request (page 96488). */
    async uploadResult(jobId: string): Promise<UploadResult> {
      const reply = await calls.read('media/get_upload_by_url_result', JobResultReply, { jobid: jobId })
      const mediaId = reply.detail?.media_id
      if (reply.status === 2 && mediaId !== undefined) return { kind: 'done', mediaId }
      return reply.status === 3 ? { kind: 'failed', errcode: reply.detail?.errcode ?? -1 } : { kind: 'running' }
    },
  }
}

type FileBytes = Uint8Array<ArrayBuffer>

function toForm(fileName: string, bytes: FileBytes): FormData {
  const form = new FormData()
  form.append('media', new Blob([bytes]), fileName)
  return form
}
