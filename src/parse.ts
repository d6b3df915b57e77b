import { z } from 'zod'
import { InvalidInputError, type Problem } from './errors.js'
import { parseTimeOfDay } from './time.js'

/** A time of day as people write it; `parseTimeOfDay` gives its minutes. */
export const TimeOfDay = z
  .string()
  .refine((text) => parseTimeOfDay(text) !== undefined, 'not a time of day; write HH:MM, e.g. 09:30')

/** Parses outside input; every problem is reported at once. @throws {InvalidInputError} */
export function parseInput<S extends z.ZodType>(schema: S, input: unknown, what = 'Invalid input'): z.infer<S> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  throw new InvalidInputError(what, toProblems(result.error, input))
}

/** Zod issues as problems, with the offending value (shortened) in the message. */
export function toProblems(error: z.ZodError, input?: unknown): Problem[] {
  return error.issues.flatMap((issue) => issueToProblems(issue, input))
}

function issueToProblems(issue: z.core.$ZodIssue, input: unknown): Problem[] {
  const path = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...issue.path.map(String), key].join('.'),
      message: `unknown field "${key}"`,
      hint: 'remove it or correct its spelling',
    }))
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    // The branch that got furthest is the one the author meant.
    const meant = [...issue.errors].sort((a, b) => depthOf(b) - depthOf(a) || a.length - b.length)[0] ?? []
    const deeper = meant.filter((i) => i.path.length > 0 || i.code === 'unrecognized_keys')
    if (deeper.length > 0) {
      return deeper.flatMap((i) => issueToProblems({ ...i, path: [...issue.path, ...i.path] }, input))
    }
  }
  const value = valueAt(input, issue.path)
  const shown = value === undefined ? '' : ` (got ${shorten(value)})`
  return [{ path, message: `${issue.message}${shown}` }]
}

function depthOf(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map((i) => i.path.length))
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = input
  for (const key of path) {
    if (value === null || typeof value !== 'object') return undefined
    value = (value as Record<PropertyKey, unknown>)[key]
  }
  return value
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
