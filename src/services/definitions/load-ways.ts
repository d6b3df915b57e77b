import type { Ways } from '../../domain/ways/definition.js'
import { InvalidInputError } from '../../errors.js'
import { said } from '../../said.js'
import { unpublishedKinds } from './kinds.js'
import { readKinds } from './load-definitions.js'

/** What the files below `folder` say of live codes, group codes and links. @throws {InvalidInputError} with every problem */
export async function loadWays(folder: string): Promise<Ways> {
  const { files, problems } = await readKinds({ wecom: folder }, unpublishedKinds)
  if (problems.length > 0) throw new InvalidInputError(said('活码文件不能用', 'Ways are not usable'), problems)
  return {
    ways: files.ways.loaded.flatMap((f) => f.value.ways),
    joinWays: files.joinWays.loaded.flatMap((f) => f.value.joinWays),
    links: files.links.loaded.flatMap((f) => f.value.links),
  }
}
