import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { InvalidInputError, messageOf, type Problem } from '../../errors.js'
import { parseYaml, readYaml, type YamlFile } from '../../yaml-file.js'

export type Loaded<T> = { value: T; yaml: YamlFile }

/** Reads files and gathers what is wrong with them. */
export class DefinitionReader {
  readonly problems: Problem[] = []

  add(yaml: YamlFile, path: readonly (string | number)[], message: string, hint: string): void {
    const line = yaml.lineOf(path)
    this.problems.push({
      file: yaml.file,
      ...(line === undefined ? {} : { line }),
      path: path.join('.'),
      message,
      hint,
    })
  }

  async file<S extends z.ZodType>(file: string, schema: S): Promise<Loaded<z.infer<S>> | undefined> {
    let yaml: YamlFile
    try {
      yaml = await readYaml(file)
    } catch (err) {
      if (!(err instanceof InvalidInputError)) throw err
      this.problems.push(...err.problems)
      return undefined
    }
    const parsed = parseYaml(schema, yaml)
    if ('value' in parsed) return { value: parsed.value, yaml }
    this.problems.push(...parsed.problems)
    return undefined
  }

  /** As `file`; a file that is not there is none. */
  async optionalFile<S extends z.ZodType>(
    file: string | undefined,
    schema: S,
  ): Promise<Loaded<z.infer<S>> | undefined> {
    return file === undefined || !existsSync(file) ? undefined : this.file(file, schema)
  }

  /** @param optional - a folder that is not there holds no files */
  async folder<S extends z.ZodType>(folder: string, schema: S, optional = false): Promise<Loaded<z.infer<S>>[]> {
    let names: string[]
    try {
      names = (await readdir(folder)).filter((n) => /\.ya?ml$/.test(n)).sort()
    } catch (err) {
      if (optional && (err as NodeJS.ErrnoException).code === 'ENOENT') return []
      this.problems.push({
        file: folder,
        path: '',
        message: `the folder cannot be read: ${messageOf(err)}`,
        hint: 'create it or correct paths in service.yaml',
      })
      return []
    }
    const files: (Loaded<z.infer<S>> | undefined)[] = []
    for (const name of names) files.push(await this.file(join(folder, name), schema))
    return files.filter((f) => f !== undefined)
  }

  unique(what: string, items: readonly { id: string; yaml: YamlFile; path: readonly (string | number)[] }[]): void {
    const seen = new Map<string, YamlFile>()
    for (const { id, yaml, path } of items) {
      const first = seen.get(id)
      if (first === undefined) seen.set(id, yaml)
      else this.add(yaml, path, `${what} "${id}" is defined twice, first in ${first.file}`, 'rename or remove one')
    }
  }
}
