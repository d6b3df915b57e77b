import { join } from 'node:path'
import { channelOf, JoinWayFile, LinkFile, WayFile, type Ways } from '../../domain/ways/definition.js'
import { InvalidInputError, type Problem } from '../../errors.js'
import type { YamlFile } from '../../yaml-file.js'
import { DefinitionReader } from './definition-reader.js'

type Placed = { id: string; yaml: YamlFile; path: readonly (string | number)[] }

/** Reads and checks `ways/`, `join-ways/` and `links/` below `folder`; each may be missing. */
export async function checkWays(folder: string): Promise<{ ways: Ways; problems: Problem[] }> {
  const reader = new DefinitionReader()
  const placed = <T extends { id: string; name: string; state?: string | undefined }>(
    files: readonly { value: Record<string, T[]>; yaml: YamlFile }[],
  ) =>
    files.flatMap(({ value, yaml }) =>
      Object.entries(value).flatMap(([list, items]) =>
        items.map((item, i) => ({ item, yaml, path: [list, i] as (string | number)[] })),
      ),
    )
  const ways = placed(await reader.folder(join(folder, 'ways'), WayFile, true))
  const joinWays = placed(await reader.folder(join(folder, 'join-ways'), JoinWayFile, true))
  const links = placed(await reader.folder(join(folder, 'links'), LinkFile, true))
  const at =
    (field: string, value: (item: { id: string; name: string; state?: string | undefined }) => string) =>
    ({
      item,
      yaml,
      path,
    }: {
      item: { id: string; name: string; state?: string | undefined }
      yaml: YamlFile
      path: (string | number)[]
    }): Placed => ({
      id: value(item),
      yaml,
      path: [...path, field],
    })
  for (const list of [ways, joinWays, links]) reader.unique('way', list.map(at('id', (item) => item.id)))
  reader.unique('channel code', [...ways, ...joinWays, ...links].map(at('state', channelOf)))
  reader.unique('link name', links.map(at('name', (item) => item.name)))
  return {
    ways: { ways: ways.map((w) => w.item), joinWays: joinWays.map((w) => w.item), links: links.map((w) => w.item) },
    problems: reader.problems,
  }
}

/** @throws {InvalidInputError} with every problem */
export async function loadWays(folder: string): Promise<Ways> {
  const { ways, problems } = await checkWays(folder)
  if (problems.length > 0) throw new InvalidInputError('Ways are not usable', problems)
  return ways
}
