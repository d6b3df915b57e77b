import type { z } from 'zod'

type Path = readonly PropertyKey[]

/**
 * Parses a request as the platform does, which takes the text of a number for the number: clients in Java and PHP send `"type": "2"`.
 * Where a number is wanted, the schema says; texts elsewhere stay texts.
 */
export function parseRequest<S extends z.ZodType>(schema: S, given: unknown): z.ZodSafeParseResult<z.infer<S>> {
  let value = given
  for (;;) {
    const result = schema.safeParse(value)
    const texts = result.success ? [] : numbersAmong(result.error.issues, value, [])
    // Each round makes numbers of texts and never texts of numbers, so it ends.
    if (result.success || texts.length === 0) return result
    value = withNumbers(value, texts)
  }
}

/** Where a number was wanted and the text of one came. */
function numbersAmong(issues: readonly z.core.$ZodIssue[], value: unknown, base: Path): Path[] {
  return issues.flatMap((issue): Path[] => {
    const path = [...base, ...issue.path]
    if (issue.code === 'invalid_union') {
      // One of its options, told by a number that came as text too; else the option that wants nothing but numbers.
      if (issue.errors.length === 0) return isNumberText(at(value, path)) ? [path] : []
      const options = issue.errors.map((errors) => ({ errors, texts: numbersAmong(errors, value, path) }))
      return options.find(({ errors, texts }) => texts.length === errors.length)?.texts ?? []
    }
    const wanted =
      (issue.code === 'invalid_type' && (issue.expected === 'number' || issue.expected === 'int')) ||
      (issue.code === 'invalid_value' &&
        issue.values.some((v) => typeof v === 'number' && String(v) === at(value, path)))
    return wanted && isNumberText(at(value, path)) ? [path] : []
  })
}

function isNumberText(value: unknown): value is string {
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value)
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((v, key) => (v as Record<PropertyKey, unknown> | undefined)?.[key], value)
}

function withNumbers(value: unknown, paths: readonly Path[]): unknown {
  if (paths.some((path) => path.length === 0)) return Number(value)
  const inside = (key: string) => paths.filter(([first]) => String(first) === key).map((path) => path.slice(1))
  const changed = (item: unknown, key: string) => (inside(key).length === 0 ? item : withNumbers(item, inside(key)))
  if (Array.isArray(value)) return value.map((item, i) => changed(item, String(i)))
  return Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, changed(item, key)]))
}
