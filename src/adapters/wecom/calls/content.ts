/**
 * What requests may carry, with the documented limits, checked before a call is spent. Lengths are in bytes of UTF-8
 * where the platform counts bytes, else in characters.
 */
import { z } from 'zod'
import { InvalidInputError } from '../../../errors.js'
import { toProblems } from '../../../parse.js'

/** Not empty, at most `max` bytes of UTF-8. */
export const Bytes = (max: number) =>
  z
    .string()
    .min(1)
    .refine((text) => Buffer.byteLength(text) <= max, `at most ${max} bytes of UTF-8`)

/** Not empty, at most `max` characters (code points). */
export const Characters = (max: number) =>
  z
    .string()
    .min(1)
    .refine((text) => [...text].length <= max, `at most ${max} characters`)

export const Url = Bytes(2_048).regex(/^[a-z][a-z0-9+.-]*:\/\//i, 'an address with a scheme, e.g. https://')

export const MediaId = z.string().min(1)

/**
 * What a message to a customer may carry besides its text (pages 92135, 92137). Ids come from `media.upload`; a `pic_url`
 * from `media.uploadImage`.
 */
export const Attachment = z.discriminatedUnion('msgtype', [
  z.object({
    msgtype: z.literal('link'),
    link: z.object({ title: Bytes(128), url: Url, desc: Bytes(512).optional(), picurl: Bytes(2_048).optional() }),
  }),
  z.object({
    msgtype: z.literal('image'),
    image: z.union([z.object({ media_id: MediaId }), z.object({ pic_url: Url })]),
  }),
  z.object({
    msgtype: z.literal('miniprogram'),
    /** `page` needs `.html` before its query to open in WeChat. */
    miniprogram: z.object({
      title: Bytes(64),
      pic_media_id: MediaId,
      appid: z.string().min(1),
      page: z.string().min(1),
    }),
  }),
  z.object({ msgtype: z.literal('video'), video: z.object({ media_id: MediaId }) }),
  z.object({ msgtype: z.literal('file'), file: z.object({ media_id: MediaId }) }),
])
export type Attachment = z.input<typeof Attachment>

/** At most 9 in one message. */
export const Attachments = z.array(Attachment).max(9).readonly()

/**
 * Checks a request before it is sent. The error names fields and rules, never values: texts may hold what does not belong
 * in a log.
 *
 * @throws {InvalidInputError}
 */
export function checkRequest<S extends z.ZodType>(schema: S, request: z.input<S>, what: string): z.output<S> {
  const result = schema.safeParse(request)
  if (result.success) return result.data
  throw new InvalidInputError(`${what}: the platform would refuse it`, toProblems(result.error))
}
