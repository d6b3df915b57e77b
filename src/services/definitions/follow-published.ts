import { InvalidInputError, messageOf } from '../../errors.js'
import type { Definitions, Deps } from '../runtime/deps.js'
import { publishedVersion, readPublished } from './read-published.js'
import { refreshWhenChanged } from './refresh-when-changed.js'

/**
 * Takes over what was published since this process looked last, by whom ever: one small read when that is nothing.
 * Resolves to whether the definitions are now those that are published; of those that this program cannot read (written by
 * a newer one) it says so once.
 */
export async function followPublished(deps: Deps): Promise<boolean> {
  const { definitions, docs, log } = deps
  const version = await publishedVersion(docs)
  if (version <= definitions.current.version) return true
  if (definitions.unreadable === version) return false
  const isFirst = definitions.current.version === 0
  let published: Definitions
  try {
    published = await readPublished(deps)
  } catch (err) {
    if (!(err instanceof InvalidInputError)) throw err
    definitions.unreadable = version
    log.error('published definitions cannot be read, work is left to others', { version, cause: messageOf(err) })
    return false
  }
  // Before it is taken over: whoever fails here looks again.
  await refreshWhenChanged({ ...deps, definitions: { current: published } })
  // Somebody else here may have taken over a later one meanwhile.
  if (published.version > definitions.current.version) definitions.current = published
  if (!isFirst) log.info('published definitions taken over', { version })
  return true
}

/**
 * For whoever takes up work: what it is handed, with the definitions that are published now and that stay the same until
 * the work is done. Asked for when it is known what the work is, so that nobody goes on by an earlier publication with what
 * began under a later one. `undefined` when this process cannot read them: the work is for others.
 */
export async function holdPublished<D extends Deps>(deps: D): Promise<D | undefined> {
  if (!(await followPublished(deps))) return undefined
  return { ...deps, definitions: { current: deps.definitions.current } }
}
