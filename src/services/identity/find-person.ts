import { z } from 'zod'
import { said } from '../../said.js'
import { Identifier } from '../../domain/events/record.js'
import { type Profile, typeName } from '../../domain/identity/profile.js'
import { linkKey, usableIdentifiers } from '../../domain/identity/resolve.js'
import { InvalidInputError, NotFoundError } from '../../errors.js'
import type { Deps } from '../runtime/deps.js'

const Exact = z.union([z.strictObject({ profileId: z.int().positive() }), z.strictObject({ identifier: Identifier })])
type Exact = z.infer<typeof Exact>

/** How people name somebody. `value`: a profile number, or an identifier of whichever type, with its type before it or without. */
export const PersonQuery = z.union([Exact, z.strictObject({ value: z.string().trim().min(1).max(512) })])
export type PersonQuery = z.infer<typeof PersonQuery>

/** The profile that stands for this person now: of merged ones the survivor. @throws {NotFoundError} when it is nobody, or several */
export async function findPerson(deps: Deps, asked: PersonQuery): Promise<Profile> {
  const query = await exactly(deps, asked)
  const profile = await survivorOf(deps, query)
  if (profile !== undefined) return profile
  const whom = 'profileId' in query ? `档案 ${query.profileId}` : `这个 ${query.identifier.type} 的人`
  throw new NotFoundError(
    said(
      `没有${whom} → 核对后重试，或先导入`,
      `there is nobody with this ${'profileId' in query ? 'profile id' : query.identifier.type} → check it, or import first`,
    ),
  )
}

async function survivorOf(deps: Deps, query: Exact): Promise<Profile | undefined> {
  let profile = await deps.docs.profiles.get('profileId' in query ? query.profileId : await profileIdOf(deps, query))
  while (profile?.mergedInto !== undefined) profile = await deps.docs.profiles.get(profile.mergedInto)
  return profile
}

/** What somebody has typed, as the one thing that it can be. @throws {NotFoundError} when it is nothing, or is of several people */
export async function exactly(deps: Deps, query: PersonQuery): Promise<Exact> {
  if (!('value' in query)) return query
  const { value } = query
  const number = Number(value)
  const meant: Exact[] =
    /^\d+$/.test(value) && Number.isSafeInteger(number) && number > 0 ? [{ profileId: number }] : []
  const { identifiers } = deps.definitions.current.identity
  // The type may hold a colon of its own: openid:<appid>:<value>. What a colon follows need be none: AA:BB:CC.
  const [, ofType = '', ofValue = ''] = /^(openid:[^:]+|[^:]+):(.+)$/s.exec(value) ?? []
  for (const { type } of identifiers) {
    const typed = typeName(ofType) === type ? normalised(deps, { type: ofType, value: ofValue }) : undefined
    const identifier = typed ?? normalised(deps, { type, value })
    if (identifier !== undefined) meant.push({ identifier })
  }
  const found = new Map<number, Exact>()
  for (const one of meant) {
    const profile = await survivorOf(deps, one)
    if (profile !== undefined && !found.has(profile._id)) found.set(profile._id, one)
  }
  const [first] = found.values()
  if (first !== undefined && found.size === 1) return first
  if (first === undefined)
    throw new NotFoundError(
      said(
        '没有人有这个标识或档案号 → siyu people 列出所有人',
        'nobody has this identifier or profile number → siyu people lists everybody',
      ),
    )
  const candidates = (profile: string, comma: string) =>
    [...found]
      .map(([id, one]) => `${'profileId' in one ? '' : `${one.identifier.type} `}${profile} ${id} (--profile ${id})`)
      .join(comma)
  throw new NotFoundError(
    said(
      `不止一个人：${candidates('档案', '；')} → 写明是哪一个`,
      `several people: ${candidates('profile', '; ')} → say which`,
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
