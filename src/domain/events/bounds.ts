import type { Problem } from '../../errors.js'
import { RECORD_BOUNDS } from '../../bounds.js'
import { said } from '../../said.js'

/** Names of traits and properties that no store, or no program, can keep apart from what is its own. */
const NAMELESS = '__proto__'

/**
 * Why a record, as it was sent, cannot be kept whatever it says: a name that is none, too much, too deep. Of the first such
 * place. Nothing of it was looked at before, so it looks no further than the bounds.
 */
export function findBoundProblem(record: unknown): Problem | undefined {
  if (!isObject(record)) return undefined
  const { identifiers, traits, events } = record
  for (const [path, list, most] of [
    ['identifiers', identifiers, RECORD_BOUNDS.identifiers],
    ['events', events, RECORD_BOUNDS.events],
  ] as const)
    if (Array.isArray(list) && list.length > most) return tooMany(path, list.length, most)
  return (
    findNameProblem(record, '') ??
    findTraitProblem(traits) ??
    firstOf(Array.isArray(events) ? events : [], (event: unknown, i) => findEventProblem(event, `events.${i}`)) ??
    firstOf(Array.isArray(identifiers) ? identifiers : [], (one: unknown, i) =>
      isObject(one) ? findNameProblem(one, `identifiers.${i}`) : undefined,
    )
  )
}

function findTraitProblem(traits: unknown): Problem | undefined {
  if (!isObject(traits)) return undefined
  const values = Object.entries(traits)
  if (values.length > RECORD_BOUNDS.traits) return tooMany('traits', values.length, RECORD_BOUNDS.traits)
  const long = values.find(([, value]) => typeof value === 'string' && value.length > RECORD_BOUNDS.traitChars)
  return (
    findNameProblem(traits, 'traits') ??
    (long && {
      path: `traits.${long[0]}`,
      message: said(
        `有 ${(long[1] as string).length} 个字，最多 ${RECORD_BOUNDS.traitChars} 个`,
        `holds ${(long[1] as string).length} characters, more than ${RECORD_BOUNDS.traitChars}`,
      ),
      hint: said('属性只放短的值', 'a trait is a short value: keep long texts where they came from'),
    })
  )
}

function findEventProblem(event: unknown, path: string): Problem | undefined {
  if (!isObject(event)) return undefined
  return findNameProblem(event, path) ?? findPropertyProblem(event.properties, `${path}.properties`)
}

function findPropertyProblem(properties: unknown, path: string): Problem | undefined {
  if (!isObject(properties)) return undefined
  let chars = 0
  const look = (value: unknown, at: string, depth: number): Problem | undefined => {
    chars += typeof value === 'string' ? value.length : 8
    if (chars > RECORD_BOUNDS.propertiesChars)
      return {
        path,
        message: said(
          `超过 ${RECORD_BOUNDS.propertiesChars} 个字`,
          `holds more than ${RECORD_BOUNDS.propertiesChars} characters`,
        ),
        hint: said('只送规则和人要看的', 'send what rules and people read; keep the rest where it came from'),
      }
    if (!isObject(value) && !Array.isArray(value)) return undefined
    if (depth > RECORD_BOUNDS.depth)
      return {
        path: at,
        message: said(`嵌套超过 ${RECORD_BOUNDS.depth} 层`, `lies deeper than ${RECORD_BOUNDS.depth} levels`),
        hint: said('摊平它', 'flatten it'),
      }
    if (Array.isArray(value)) return firstOf(value, (part: unknown, i) => look(part, `${at}.${i}`, depth + 1))
    return (
      findNameProblem(value, at) ??
      firstOf(Object.entries(value), ([name, part]) => {
        chars += name.length
        return look(part, `${at}.${name}`, depth + 1)
      })
    )
  }
  return look(properties, path, 1)
}

function findNameProblem(value: object, path: string): Problem | undefined {
  for (const name of Object.keys(value)) {
    const why =
      name === NAMELESS
        ? said('这个名字不能用', 'is a name that objects have for themselves')
        : name.includes('\0')
          ? said('名字里有 NUL 字符', 'has the character NUL in its name')
          : name.length > RECORD_BOUNDS.nameChars
            ? said(
                `名字有 ${name.length} 个字，最多 ${RECORD_BOUNDS.nameChars} 个`,
                `has a name of ${name.length} characters, more than ${RECORD_BOUNDS.nameChars}`,
              )
            : undefined
    if (why !== undefined) {
      const shown = name.slice(0, 40).replaceAll('\0', '␀')
      return {
        path: path === '' ? shown : `${path}.${shown}`,
        message: why,
        hint: said('换个名字', 'give it another name'),
      }
    }
  }
  return undefined
}

function tooMany(path: string, is: number, most: number): Problem {
  return {
    path,
    message: said(`有 ${is} 个，最多 ${most} 个`, `are ${is}, more than ${most}`),
    hint: said('分成几条记录', 'split them over several records'),
  }
}

function firstOf<T>(list: readonly T[], find: (item: T, index: number) => Problem | undefined): Problem | undefined {
  for (const [i, item] of list.entries()) {
    const problem = find(item, i)
    if (problem !== undefined) return problem
  }
  return undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}
