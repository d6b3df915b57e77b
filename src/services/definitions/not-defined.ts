import { NotFoundError } from '../../errors.js'
import { type DefinedKind, nounOf } from '../../domain/reference.js'
import { meant, said, sentencesOf } from '../../said.js'

/** @param where - how to see what there is */
export function notDefined(kind: DefinedKind, id: string, known: readonly string[], where: string): NotFoundError {
  const { zh, en } = nounOf(kind)
  const hint = sentencesOf(meant(id, known, `看有哪些：${where}`, `see what there is: ${where}`))
  return new NotFoundError(said(`没有${zh} "${id}" → ${hint.zh}`, `there is no ${en} "${id}" → ${hint.en}`))
}
