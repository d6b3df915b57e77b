import type { z } from 'zod'
import { channelOf, JoinWayFile, LinkFile, WayFile } from '../../../domain/ways/definition.js'
import { type Claim, type DefinitionKind, listed } from './kind.js'

/** Not published: WeCom has them, and `siyu wecom apply` makes it have what the files say. */
const applied = {
  references: () => [],
  lint: () => [],
  versioned: 'none',
  kept: () => undefined,
} as const

/** Live codes (「联系我」): every file of a folder, which may be missing. */
export const ways = {
  ...applied,
  words: { zh: '活码', en: 'ways' },
  schema: WayFile,
  schemaName: 'wecom-ways',
  folder: { setting: 'wecom', below: 'ways', holds: 'optional files' },
  provides: { kind: 'way', at: ['ways', '*', 'id'] },
  claims: (file) => codesIn('ways', file.ways),
  shows: (files) => listedIfAny(files.flatMap((f) => f.ways)),
} as const satisfies DefinitionKind<typeof WayFile>

/** Codes that lead into customer groups (「加入群聊」). */
export const joinWays = {
  ...applied,
  words: { zh: '群码', en: 'join ways' },
  schema: JoinWayFile,
  schemaName: 'wecom-join-ways',
  folder: { setting: 'wecom', below: 'join-ways', holds: 'optional files' },
  provides: { kind: 'way', at: ['joinWays', '*', 'id'] },
  claims: (file) => codesIn('joinWays', file.joinWays),
  shows: (files) => listedIfAny(files.flatMap((f) => f.joinWays)),
} as const satisfies DefinitionKind<typeof JoinWayFile>

/** Acquisition links (获客链接), which WeCom finds again by their names. */
export const links = {
  ...applied,
  words: { zh: '获客链接', en: 'links' },
  schema: LinkFile,
  schemaName: 'wecom-links',
  folder: { setting: 'wecom', below: 'links', holds: 'optional files' },
  provides: { kind: 'way', at: ['links', '*', 'id'] },
  claims: (file: z.infer<typeof LinkFile>) => [
    ...codesIn('links', file.links),
    ...file.links.map(({ name }, i): Claim => ({ what: 'link name', name, path: ['links', i, 'name'] })),
  ],
  shows: (files) => listedIfAny(files.flatMap((f) => f.links)),
} as const satisfies DefinitionKind<typeof LinkFile>

/** By its channel code a customer is known to have come one way, so no two have the same. */
function codesIn(list: string, items: readonly { id: string; state?: string | undefined }[]): Claim[] {
  return items.map((item, i) => ({ what: 'channel code', name: channelOf(item), path: [list, i, 'state'] }))
}

function listedIfAny(items: readonly { id: string }[]): { count: number; what: string } | undefined {
  return items.length === 0 ? undefined : listed(items)
}
