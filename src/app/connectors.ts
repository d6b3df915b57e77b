import type { z } from 'zod'
import { checkCsvSource, type KnownNames } from '../../connectors/csv/check.js'
import { CsvMapping } from '../../connectors/csv/mapping.js'
import { ChatRules } from '../../connectors/wechaty/rules.js'
import type { Config } from '../config.js'
import type { Problem } from '../errors.js'

/** As much of the configuration as says where sources are. `csv`: read through the mapping instead of the file that it names. */
export type SourcesConfig = Pick<Config, 'brand'> & Partial<Config> & { csv?: string | undefined }

/** What the service has to know of a connector: the files that people write for it. */
export type ConnectorFiles = {
  /** Editors complete its files by `schemas/<schemaName>.schema.json`. */
  schemaName: string
  schema: z.ZodType
  /** Those that the configuration names. */
  files(config: SourcesConfig): readonly string[]
  /**
   * What is wrong with one of them, before anything is read through it; absent: what the schema says of it.
   *
   * @param known - names that other files define; absent: nobody holds it against them
   * @throws {InvalidInputError} when it cannot be read
   */
  check?(file: string, config: SourcesConfig, known?: KnownNames): Promise<readonly Problem[]>
}

/** Every connector, in the order in which their files are checked. */
export const connectors = {
  wechaty: {
    schemaName: 'wechaty',
    schema: ChatRules,
    files: ({ wechaty }) => (wechaty === undefined ? [] : [wechaty.rules]),
  },
  csv: {
    schemaName: 'source',
    schema: CsvMapping,
    files: ({ sources = [] }) => sources,
    check: (file, { brand, csv }, known) =>
      checkCsvSource(file, { currency: brand.currency, csv, ...(known !== undefined && { known }) }),
  },
} satisfies Record<string, ConnectorFiles>
