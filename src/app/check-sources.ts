import { readdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { KnownNames } from '../../connectors/csv/check.js'
import { InvalidInputError, type Problem } from '../errors.js'
import { loadYaml } from '../yaml-file.js'
import { type ConnectorFiles, connectors, type SourcesConfig } from './connectors.js'

/** What is wrong with the files of all connectors that the configuration names. @param known - names that other files define */
export async function checkSources(config: SourcesConfig, known?: KnownNames): Promise<Problem[]> {
  const problems: Problem[] = []
  for (const connector of Object.values<ConnectorFiles>(connectors))
    problems.push(...(await checkFiles(connector, connector.files(config), config, known)))
  return problems
}

/** What is wrong with these mappings of CSV files. */
export function checkMappings(files: readonly string[], config: SourcesConfig, known?: KnownNames): Promise<Problem[]> {
  return checkFiles(connectors.csv, files, config, known)
}

/** Mappings in the folder that `siyu import --guess` writes to, and that the configuration does not name. */
export async function unlistedMappings(configFile: string, sources: readonly string[]): Promise<string[]> {
  const folder = join(dirname(configFile), 'sources')
  const listed = new Set(sources.map((source) => resolve(source)))
  try {
    const names = (await readdir(folder)).filter((name) => /\.ya?ml$/.test(name)).sort()
    return names.map((name) => join(folder, name)).filter((file) => !listed.has(resolve(file)))
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw err
  }
}

async function checkFiles(
  connector: ConnectorFiles,
  files: readonly string[],
  config: SourcesConfig,
  known: KnownNames | undefined,
): Promise<Problem[]> {
  const problems: Problem[] = []
  for (const file of files) {
    try {
      if (connector.check === undefined) await loadYaml(connector.schema, file)
      else problems.push(...(await connector.check(file, config, known)))
    } catch (err) {
      if (!(err instanceof InvalidInputError)) throw err
      problems.push(...err.problems)
    }
  }
  return problems
}
