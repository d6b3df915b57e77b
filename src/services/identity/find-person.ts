import { z } from 'zod'
import { said } from '../../said.js'
import { Identifier } from '../../domain/events/record.js'
import type { Profile } from '../../domain/identity/profile.js'
import { linkKey, usableIdentifiers } from '../../domain/identity/resolve.js'
import { InvalidInputError, NotFoundError } from '../../errors.js'
import type { Deps } from '../runtime/deps.js'

/** How people name somebody. */
export const PersonQuery = z.union([
  z.strictObject({ profileId: z.int().positive() }),
  z.strictObject({ identifier: Identifier }),
])
export type PersonQuery = z.infer<typeof PersonQuery>

/** The profile that stands for this person now: of merged ones the survivor. @throws {NotFoundError} */
export async function findPerson(deps: Deps, query: PersonQuery): Promise<Profile> {
  let profile = await deps.docs.profiles.get('profileId' in query ? query.profileId : await profileIdOf(deps, query))
  while (profile?.mergedInto !== undefined) profile = await deps.docs.profiles.get(profile.mergedInto)
  if (profile !== undefined) return profile
  const whom = 'profileId' in query ? `档案 ${query.profileId}` : `这个 ${query.identifier.type} 的人`
  throw new NotFoundError(
    said(
      `没有${whom} → 核对后重试，或先导入`,
      `there is nobody with this ${'profileId' in query ? 'profile id' : query.identifier.type} → check it, or import first`,
    ),
  )
}

async function profileIdOf(deps: Deps, { identifier }: { identifier: Identifier }): Promise<number> {
  return (await deps.docs.identifiers.get(linkKey(usableIdentifier(deps, identifier))))?.profileId ?? 0
}

/** As people are found by it, normalised as ingest does it: a phone number may be written in any way. `undefined`: nobody can be. */
export function normalised(deps: Pick<Deps, 'definitions' | 'clock'>, identifier: Identifier): Identifier | undefined {
  return usableIdentifiers(deps.definitions.current.identity, {
    ref: 'query',
    source: 'query',
    observedAt: deps.clock.now(),
    identifiers: [identifier],
    traits: {},
    events: [],
  })[0]
}

/** As people are found by it. @throws {InvalidInputError} when nobody can be */
export function usableIdentifier(deps: Pick<Deps, 'definitions' | 'clock'>, identifier: Identifier): Identifier {
  const usable = normalised(deps, identifier)
  if (usable === undefined) {
    const known = deps.definitions.current.identity.identifiers.map((i) => i.type).join(', ')
    throw new InvalidInputError(said('这个身份标识不能用', 'The identifier cannot be used'), [
      {
        path: 'identifier',
        message: said(
          `没有配置 "${identifier.type}" 这个类型，或它的值被忽略`,
          `type "${identifier.type}" is not configured, or its value is ignored`,
        ),
        hint: said(`config/identity.yaml 里有：${known}`, `config/identity.yaml knows: ${known}`),
      },
    ])
  }
  return usable
}
