import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import type { Mistake } from '../../domain/reference.js'
import { InvalidInputError, messageOf, type Problem } from '../../errors.js'
import { salvage } from '../../parse.js'
import { said } from '../../said.js'
import { parseYaml, readYaml, type YamlFile } from '../../yaml-file.js'

export type Loaded<T> = { value: T; yaml: YamlFile }

/** Where a value of a file stands in it. */
type Place = { yaml: YamlFile; path: readonly PropertyKey[] }

/** Of a file that does not fit, what does; places in it are found by `placeOf`. */
export type Broken<T> = { part: Partial<T>; yaml: YamlFile; placeOf: (path: readonly PropertyKey[]) => PropertyKey[] }

/** What was read of one kind of file. */
export type ReadFiles<T> = {
  loaded: Loaded<T>[]
  broken: Broken<T>[]
  /** A file or the folder could not be read at all: what else it defines is not known. */
  unreadable: boolean
}

/** Reads files and gathers what is wrong with them. */
export class DefinitionReader {
  readonly problems: Problem[] = []
  /** What may be as it is meant. */
  readonly warnings: Problem[] = []

  /** @param path - in the file, where that of the mistake is in a part of it */
  addMistake(yaml: YamlFile, { path, message, hint, unsure }: Mistake, place: readonly PropertyKey[] = path): void {
    const problem = this.add(yaml, place, message, hint)
    if (unsure === true) this.warnings.push(...this.problems.splice(this.problems.indexOf(problem), 1))
  }

  add(yaml: YamlFile, path: readonly PropertyKey[], message: string, hint: string): Problem {
    const line = yaml.lineOf(path)
    const problem = {
      file: yaml.file,
      ...(line !== undefined && { line }),
      path: path.map(String).join('.'),
      message,
      hint,
    }
    this.problems.push(problem)
    return problem
  }

  async file<S extends z.ZodObject>(file: string, schema: S): Promise<ReadFiles<z.infer<S>>> {
    let yaml: YamlFile
    try {
      yaml = await readYaml(file)
    } catch (err) {
      if (!(err instanceof InvalidInputError)) throw err
      this.problems.push(...err.problems)
      return { loaded: [], broken: [], unreadable: true }
    }
    const parsed = parseYaml(schema, yaml)
    if ('value' in parsed) return { loaded: [{ value: parsed.value, yaml }], broken: [], unreadable: false }
    this.problems.push(...parsed.problems)
    return { loaded: [], broken: [{ ...salvage(schema, yaml.value), yaml }], unreadable: false }
  }

  /** As `file`; a file that is not there is none. */
  async optionalFile<S extends z.ZodObject>(file: string, schema: S): Promise<ReadFiles<z.infer<S>>> {
    return existsSync(file) ? this.file(file, schema) : { loaded: [], broken: [], unreadable: false }
  }

  /** @param optional - a folder that is not there holds no files */
  async folder<S extends z.ZodObject>(folder: string, schema: S, optional = false): Promise<ReadFiles<z.infer<S>>> {
    let names: string[]
    try {
      names = (await readdir(folder)).filter((n) => /\.ya?ml$/.test(n)).sort()
    } catch (err) {
      if (optional && (err as NodeJS.ErrnoException).code === 'ENOENT')
        return { loaded: [], broken: [], unreadable: false }
      this.problems.push({
        file: folder,
        path: '',
        message: said(`目录读不了：${messageOf(err)}`, `the folder cannot be read: ${messageOf(err)}`),
        hint: said('新建它，或改正 service.yaml 的 paths', 'create it or correct paths in service.yaml'),
      })
      return { loaded: [], broken: [], unreadable: true }
    }
    const files: ReadFiles<z.infer<S>>[] = []
    for (const name of names) files.push(await this.file(join(folder, name), schema))
    return {
      loaded: files.flatMap((f) => f.loaded),
      broken: files.flatMap((f) => f.broken),
      unreadable: files.some((f) => f.unreadable),
    }
  }

  /** @param what - one of them, in both languages */
  unique(what: { zh: string; en: string }, items: readonly (Place & { id: string })[]): void {
    const seen = new Map<string, YamlFile>()
    for (const { id, yaml, path } of items) {
      const first = seen.get(id)
      if (first === undefined) seen.set(id, yaml)
      else
        this.add(
          yaml,
          path,
          said(
            `${what.zh} "${id}" 定义了两次，第一次在 ${first.file}`,
            `${what.en} "${id}" is defined twice, first in ${first.file}`,
          ),
          said('改名，或删掉一个', 'rename or remove one'),
        )
    }
  }
}
