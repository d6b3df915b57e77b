import { ConfigError } from '../errors.js'
import { readYaml } from '../yaml-file.js'

/** A setting that `work` names without its place gets file and line. */
export async function naming<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (err) {
    if (!(err instanceof ConfigError) || err.problems.every((p) => p.file !== undefined)) throw err
    const yaml = await readYaml(file)
    const problems = err.problems.map((p) => {
      if (p.file !== undefined) return p
      const line = isThere(yaml.value, p.path.split('.')) ? yaml.lineOf(p.path.split('.')) : undefined
      return { ...p, file, ...(line === undefined ? {} : { line }) }
    })
    throw new ConfigError(err.message.split('\n')[0]!, problems, { cause: err })
  }
}

function isThere(value: unknown, path: readonly string[]): boolean {
  const [key, ...rest] = path
  if (key === undefined) return true
  return (
    typeof value === 'object' &&
    value !== null &&
    key in value &&
    isThere((value as Record<string, unknown>)[key], rest)
  )
}
