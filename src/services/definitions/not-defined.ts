import { NotFoundError } from '../../errors.js'
import { nearest } from '../../yaml-file.js'

/** @param where - how to see what there is */
export function notDefined(what: string, id: string, known: readonly string[], where: string): NotFoundError {
  const near = nearest(id, known)
  return new NotFoundError(
    `没有这个${what} "${id}" → ${near === undefined ? `有哪些 what there is: ${where}` : `是不是 did you mean "${near}"?`}`,
  )
}
