/**
 * What WeCom answers, in its own spelling: tolerant of fields we do not know, strict about those we use. Each area keeps
 * its replies beside its calls; these are the pieces they share.
 */
import { z } from 'zod'

/** Absent, null and empty all mean "nothing". */
export const Text = z
  .string()
  .nullish()
  .transform((text) => (text === null || text === '' ? undefined : text))

/** An empty cursor is the last page, as an absent one. */
export const Cursor = Text

/** Numbers come as text in places. */
export const UnixSeconds = z.coerce.number().int()

/** Absent and null lists are empty ones. */
export const List = <S extends z.ZodType>(item: S) =>
  z
    .array(item)
    .nullish()
    .transform((items) => items ?? [])

/** Nothing but `errcode`. */
export const Nothing = z.object({})

/** Userids joined by `|`, in lower case, or (in card updates) a list. */
export const UserIds = z
  .union([z.string(), z.array(z.string())])
  .nullish()
  .transform((ids) => (typeof ids === 'string' ? ids.split('|') : (ids ?? [])).filter((id) => id !== ''))

/** `undefined` for 0, which the platform writes where there is no instant. */
export function toDate(unixSeconds: number | undefined): Date | undefined {
  return unixSeconds === undefined || unixSeconds === 0 ? undefined : new Date(unixSeconds * 1000)
}

export function toUnixSeconds(at: Date): number {
  return Math.floor(at.getTime() / 1000)
}
