import { describe, expect, it } from '@jest/globals'
import { CouponFile } from '../../../src/domain/content/content.js'
import {
  definitionKinds,
  kindNames,
  kindOf,
  publishedKinds,
  unpublishedKinds,
  wholeKinds,
} from '../../../src/services/definitions/kinds.js'

describe('the kinds of definitions', () => {
  it('have a schema and a place of their own, and nouns of their own where they are published', () => {
    const kinds = kindNames.map(kindOf)
    const lists = [
      kinds.map((k) => k.schemaName),
      kinds.map((k) => [k.folder.setting, k.folder.below].join('/')),
      publishedKinds.flatMap((name) => kindOf(name).provides?.kind ?? []),
    ]
    for (const list of lists) expect([...new Set(list)]).toEqual(list)
  })

  it('are versioned, journeys one by one, the others together; but not what WeCom has', () => {
    const unversioned = kindNames.filter((name) => !(wholeKinds as string[]).includes(name))
    expect(unversioned).toEqual(['journeys', 'ways', 'joinWays', 'links'])
    expect(unpublishedKinds).toEqual(['ways', 'joinWays', 'links'])
  })

  it('never keep the codes of a pool, but see that they changed', () => {
    const file = (...codes: string[]) => CouponFile.parse({ pools: [{ id: 'gift', codes }] })
    const kept = (...codes: string[]) => JSON.stringify(definitionKinds.coupons.kept(file(...codes), file(...codes)))
    expect(kept('SECRET-1', 'SECRET-2')).not.toContain('SECRET')
    expect(kept('SECRET-1', 'SECRET-2')).toBe(kept('SECRET-1', 'SECRET-2'))
    expect(kept('SECRET-1', 'SECRET-2')).not.toBe(kept('SECRET-1', 'SECRET-3'))
  })
})
