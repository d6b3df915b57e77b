import { z } from 'zod'
import type { Calls } from './calls.js'
import { UnixSeconds } from './wire.js'

const MediaReply = z.object({ media_id: z.string().min(1), created_at: UnixSeconds })

/** Uploads (素材管理). */
export function mediaCalls(calls: Calls) {
  return {
    /** Temporary, 3 days. Resolves to the media id (page 90253). */
    async upload(
      type: 'image' | 'voice' | 'video' | 'file',
      fileName: string,
      bytes: Uint8Array<ArrayBuffer>,
    ): Promise<string> {
      const form = new FormData()
      form.append('media', new Blob([bytes]), fileName)
      // Repeatable: a second upload is a second id that nobody uses.
      return (await calls.read('media/upload', MediaReply, form, { query: { type } })).media_id
    },
  }
}
