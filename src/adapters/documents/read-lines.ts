import type { Doc } from '../../ports/document-store.js'
import { checkVersion, type Definition, migrateDoc } from './language.js'
import { fromJson } from './document-json.js'

/** Documents of a copy, brought to the definition. @throws {ConfigError} where they are of a newer program */
export function readLines(definition: Definition, lines: readonly string[], version: number): Doc[] {
  checkVersion(definition, version, 'backup')
  return lines.map((line) => migrateDoc(definition, fromJson<Doc>(line), version))
}
