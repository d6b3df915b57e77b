import { InvalidInputError, type Problem } from '../errors.js'
import { loadYaml } from '../yaml-file.js'
import { type ConnectorFiles, connectors, type SourcesConfig } from './connectors.js'

/** What is wrong with the files of all connectors that the configuration names. */
export async function checkSources(config: SourcesConfig): Promise<Problem[]> {
  const problems: Problem[] = []
  for (const connector of Object.values<ConnectorFiles>(connectors))
    problems.push(...(await checkFiles(connector, connector.files(config), config)))
  return problems
}

/** What is wrong with these mappings of CSV files. */
export function checkMappings(files: readonly string[], config: SourcesConfig): Promise<Problem[]> {
  return checkFiles(connectors.csv, files, config)
}

async function checkFiles(
  connector: ConnectorFiles,
  files: readonly string[],
  config: SourcesConfig,
): Promise<Problem[]> {
  const problems: Problem[] = []
  for (const file of files) {
    try {
      if (connector.check === undefined) await loadYaml(connector.schema, file)
      else problems.push(...(await connector.check(file, config)))
    } catch (err) {
      if (!(err instanceof InvalidInputError)) throw err
      problems.push(...err.problems)
    }
  }
  return problems
}
