import type { z } from 'zod'
import { contents } from './kinds/contents.js'
import { coupons } from './kinds/coupons.js'
import { events } from './kinds/events.js'
import { identity } from './kinds/identity.js'
import { journeys } from './kinds/journeys.js'
import type { DefinitionKind } from './kinds/kind.js'
import { lifecycle } from './kinds/lifecycle.js'
import { policy } from './kinds/policy.js'
import { segments } from './kinds/segments.js'
import { tags } from './kinds/tags.js'
import { joinWays, links, ways } from './kinds/ways.js'
import { welcome } from './kinds/welcome.js'

/** Every kind of definition, in the order in which they are read, checked and shown. */
const kinds = {
  identity,
  policy,
  lifecycle,
  events,
  tags,
  segments,
  contents,
  coupons,
  welcome,
  journeys,
  ways,
  joinWays,
  links,
}

type Kinds = typeof kinds
export type KindName = keyof Kinds
/** What one file of a kind says. */
export type FileOf<K extends KindName> = z.infer<Kinds[K]['schema']>
/** Kinds all of whose files are one version. */
export type WholeKind = { [K in KindName]: Kinds[K]['versioned'] extends 'kind' ? K : never }[KindName]

/** Where the files of each kind are. */
export type DefinitionPaths = { readonly [K in KindName as Kinds[K]['folder']['setting']]: string }

export const definitionKinds: { readonly [K in KindName]: DefinitionKind<Kinds[K]['schema']> } = kinds
export const kindNames = Object.keys(kinds) as KindName[]

export const wholeKinds = kindNames.filter((name): name is WholeKind => definitionKinds[name].versioned === 'kind')

/** Kinds that are published, and those that are not: their files count when they are applied. */
export const publishedKinds = kindNames.filter((name) => definitionKinds[name].versioned !== 'none')
export const unpublishedKinds = kindNames.filter((name) => definitionKinds[name].versioned === 'none')

/** A kind as all of them can be asked; whoever hands it files has read them by its schema. */
export function kindOf(name: KindName): DefinitionKind {
  return definitionKinds[name]
}
