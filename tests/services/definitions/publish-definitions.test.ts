import { beforeEach, describe, expect, it } from '@jest/globals'
import { wholeKinds } from '../../../src/services/definitions/kinds.js'
import { checkDefinitions } from '../../../src/services/definitions/load-definitions.js'
import { publishDefinitions } from '../../../src/services/definitions/publish-definitions.js'
import { arePublished, liveVersions, readPublished } from '../../../src/services/definitions/read-published.js'
import { loadGiftShop } from '../../../demo/gift-shop.js'
import { define, type World } from '../../support/build-deps.js'
import { useWorld } from '../../support/use-world.js'

const START = '2026-03-02T02:00:00Z'
const CONTENTS = [{ id: 'hello', text: 'hello' }]

const openWorld = useWorld()
let world: World
beforeEach(async () => {
  world = await openWorld({ at: START, definitions: { contents: CONTENTS } })
})

const versions = async () =>
  Object.fromEntries((await liveVersions(world.docs)).live.versions.map((l) => [l.kind ?? l.id, l.version]))

describe('a publication', () => {
  it('has a version of every kind, and a next one of those that changed', async () => {
    expect(await versions()).toEqual({ identity: 1, policy: 1, contents: 1 })
    const done = await publishDefinitions(
      world.deps,
      define({ contents: [{ id: 'hello', text: 'hello again' }], welcome: [{ id: 'all', content: 'hello' }] }),
    )
    expect(done.filter((d) => d.change !== 'unchanged')).toEqual([
      { kind: 'contents', id: 'all', version: 2, change: 'changed' },
      { kind: 'welcome', id: 'all', version: 1, change: 'new' },
    ])
    expect(await versions()).toEqual({ identity: 1, policy: 1, contents: 2, welcome: 1 })
  })

  it('leaves out a kind whose files are gone, also for who reads it', async () => {
    await world.publish({ contents: CONTENTS, welcome: [{ id: 'all', content: 'hello' }] })
    const done = await publishDefinitions(world.deps, define({ contents: CONTENTS }))
    expect(done).toContainEqual({ kind: 'welcome', id: 'all', version: 1, change: 'withdrawn' })
    expect((await readPublished(world.deps)).welcome).toEqual([])
    expect(await arePublished(world.deps, define({ contents: CONTENTS }).files)).toBe(true)
    const other = define({ contents: CONTENTS, welcome: [{ id: 'all', content: 'hello' }] })
    expect(await arePublished(world.deps, other.files)).toBe(false)
  })

  it('of the gift shop’s files has all kinds, and is read back as it was', async () => {
    const { paths } = await loadGiftShop({})
    const loaded = (await checkDefinitions(paths)).loaded!
    await publishDefinitions(world.deps, loaded)
    const live = (await liveVersions(world.docs)).live.versions
    expect(live.flatMap((l) => l.kind ?? [])).toEqual([...wholeKinds].filter((kind) => loaded.files[kind]!.length > 0))
    const { identity, policy, tags, segments, contents, welcome } = await readPublished(world.deps)
    expect({ identity, policy, tags, segments, contents, welcome }).toEqual({
      identity: loaded.identity,
      policy: loaded.policy,
      tags: loaded.tags,
      segments: loaded.segments,
      contents: loaded.contents,
      welcome: loaded.welcome,
    })
  })
})
