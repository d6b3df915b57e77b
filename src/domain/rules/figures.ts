import { type Aggregation, AMOUNT, type Condition, evaluateBool, type ProfileFigures } from './expression.js'

/** An event as rules read it, of one person. */
export type RuleEvent = {
  name: string
  ms: number
  /** Its id and, behind NUL, its source: so they compare as the two columns do. */
  id: string
  /** undefined: none was said. */
  amountMinor: number | undefined
  /** undefined: one of them cannot be read here. */
  properties: Properties | undefined
}

type Properties = Readonly<Record<string, string | number | boolean | null>>

export type Figure = { column: string; aggregation: Aggregation }

/** The columns of a profile. */
export type Columns = Record<string, number | string>

/**
 * Figures of a person's events, computed here: the same aggregations as `figuresSql`, and a differential test holds the
 * two to each other. Made once for many people.
 *
 * @returns undefined where this cannot say exactly what SQL would: it is to be asked
 */
export function figuresOf(
  figures: readonly Figure[],
  nowMs: number,
): (events: readonly RuleEvent[]) => Columns | undefined {
  const byName = new Map<string, { column: string; aggregation: Aggregation; holds: Holds }[]>()
  const nothing: Columns = {}
  for (const { column, aggregation } of figures) {
    const { event } = aggregation.on
    nothing[column] = isText(aggregation) ? '' : 0
    const known = byName.get(event) ?? []
    known.push({ column, aggregation, holds: holdsOf(aggregation.on) })
    byName.set(event, known)
  }
  return (events) => {
    const columns = { ...nothing }
    const edges = new Map<string, RuleEvent>()
    for (const event of events) {
      if (event.ms > nowMs) continue
      for (const { column, aggregation, holds } of byName.get(event.name) ?? []) {
        const isIn = holds(event)
        if (isIn === undefined) return undefined
        if (!isIn) continue
        switch (aggregation.of) {
          case 'count':
            columns[column] = (columns[column] as number) + 1
            break
          case 'last': {
            const before = edges.get(column)
            if (before !== undefined && before.ms >= event.ms) break
            edges.set(column, event)
            columns[column] = event.ms
            break
          }
          case 'sum': {
            const addend = addendOf(event, aggregation.property)
            if (addend === undefined) return undefined
            columns[column] = (columns[column] as number) + addend
            break
          }
          case 'atFirst':
          case 'atLast': {
            const before = edges.get(column)
            const wins = before === undefined || isLater(event, before) === (aggregation.of === 'atLast')
            if (!wins) break
            edges.set(column, event)
            const text = textOf(event, aggregation.property)
            if (text === undefined) return undefined
            columns[column] = text
          }
        }
      }
    }
    return columns
  }
}

type Holds = (event: RuleEvent) => boolean | undefined

function holdsOf({ bounds, where }: Condition): Holds {
  const isWithin = ({ ms }: RuleEvent) => bounds.every(({ sign, ms: at }) => (sign === '>' ? ms > at : ms <= at))
  if (where.length === 0) return isWithin
  const read = where.map((w) => w.property)
  return (event) => {
    if (!isWithin(event)) return false
    const columns = Object.create(null) as Columns
    for (const property of read) {
      const text = textOf(event, property)
      if (text === undefined) return undefined
      columns[property] = text
    }
    const of: ProfileFigures = { traits: {}, identifierTypes: [], stored: {}, columns }
    return where.every(({ tests }) => tests.every((test) => evaluateBool(test, of)))
  }
}

function isText({ of }: Aggregation): boolean {
  return of === 'atFirst' || of === 'atLast'
}

/** As SQL reads it: strings as they are, the rest as in JSON, nothing for what is missing. */
function textOf({ amountMinor, properties }: RuleEvent, property: string): string | undefined {
  if (property === AMOUNT) return amountMinor === undefined ? '' : String(amountMinor)
  return properties && (property in properties ? String(properties[property]) : '')
}

/** As `JSONExtractInt` reads whole numbers; of anything else SQL is asked. */
function addendOf({ amountMinor, properties }: RuleEvent, property: string): number | undefined {
  if (property === AMOUNT) return amountMinor ?? 0
  if (properties === undefined) return undefined
  const value = property in properties ? properties[property] : 0
  return typeof value === 'number' ? value : undefined
}

/** Equal instants are decided by the event's id, byte by byte. */
function isLater(a: RuleEvent, b: RuleEvent): boolean {
  if (a.ms !== b.ms) return a.ms > b.ms
  return Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)) > 0
}

/**
 * Undefined when there is one whose text another program may write or read differently: fractions, what is nested, half a
 * character.
 */
export function propertiesOf(properties: Readonly<Record<string, unknown>>): Properties | undefined {
  // Without a prototype: a property may have any name.
  const read = Object.create(null) as Record<string, string | number | boolean | null>
  for (const [key, value] of Object.entries(properties)) {
    if (HALVES.test(key) || (typeof value === 'string' && HALVES.test(value))) return undefined
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) read[key] = value
    else if (typeof value === 'number' && Number.isSafeInteger(value)) read[key] = value
    else if (value !== undefined) return undefined
  }
  return read
}

const HALVES = /\p{Surrogate}/u
