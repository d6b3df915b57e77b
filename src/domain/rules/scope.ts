/** Whom to look at. Merged profiles' events count for their survivor. */
export type Scope =
  | {
      kind: 'all'
      fromProfileId?: number
      toProfileId?: number
      /** Of now: only what groups up to this number brought; whose profile a later one wrote is left out. */
      upTo?: number
    }
  /** `aliases` are the ids of profiles that were merged into this one; of no account for the past, whose logs say so. */
  | { kind: 'profiles'; profiles: readonly { profileId: number; aliases: readonly number[] }[] }

/** ` AND …` that leaves the survivors of the scope; merged profiles have no row of their own there. */
export function profileFilter(scope: Scope, column: string): string {
  if (scope.kind === 'profiles') {
    const ids = scope.profiles.map((s) => s.profileId)
    return ` AND ${column} IN (${ids.length === 0 ? '0' : ids.join(', ')})`
  }
  return [
    scope.fromProfileId === undefined ? '' : ` AND ${column} >= ${scope.fromProfileId}`,
    scope.toProfileId === undefined ? '' : ` AND ${column} < ${scope.toProfileId}`,
  ].join('')
}
