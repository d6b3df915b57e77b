import type { Content } from '../../domain/content/content.js'
import type { Touch } from '../../domain/touches/touch.js'
import { type PinnedRead, readPinned } from '../definitions/read-pinned.js'
import type { Deps } from '../runtime/deps.js'

/** What a touch says; `undefined` when there is no such content, or why nobody here can tell. */
export type TouchContent = Content | undefined | { unreadable: string }

/** Tells of each touch what it says: its content in the version that its run stays on, or that corrected it since. */
export async function contentsOfTouches(
  deps: Pick<Deps, 'docs' | 'definitions'>,
  touches: readonly Touch[],
): Promise<(touch: Touch) => TouchContent> {
  const { corrected } = deps.definitions.current
  const versionOf = ({ contentsVersion, contentId }: Touch) =>
    contentsVersion === undefined ? undefined : Math.max(contentsVersion, corrected.get(contentId) ?? 0)
  const read = new Map<number | undefined, PinnedRead<'contents'>>()
  for (const version of new Set(touches.map(versionOf))) read.set(version, await readPinned(deps, 'contents', version))
  return (touch) => {
    const contents = read.get(versionOf(touch))!
    return 'unreadable' in contents ? contents : contents.value.get(touch.contentId)
  }
}
