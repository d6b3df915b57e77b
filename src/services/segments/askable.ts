import type { Profile } from '../../domain/identity/profile.js'

/** Ids of profiles in one question, merged ones too: the engine reads no statement of any length. */
const IDS_IN_ONE = 5_000

/** People in pieces that can be asked about in one question, by how many profiles each of them is. In order. */
export function* askable(profiles: readonly Profile[], most = IDS_IN_ONE): Generator<Profile[]> {
  let piece: Profile[] = []
  let ids = 0
  for (const profile of profiles) {
    const own = 1 + profile.mergedIds.length
    if (piece.length > 0 && ids + own > most) {
      yield piece
      piece = []
      ids = 0
    }
    piece.push(profile)
    ids += own
  }
  if (piece.length > 0) yield piece
}
