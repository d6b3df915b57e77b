import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { InvalidInputError, isReservedEvent, isTimeZone, type Problem, toProblems } from '../../src/connector.js'

const Column = z.string().min(1)
const Pattern = z.string().refine(compiles, 'is no regular expression')
const IdentifierType = z.string().regex(/^[a-z][a-z0-9_]*(:[A-Za-z0-9_-]+)?$/, 'is lower case, e.g. member_id')
const EventName = z
  .string()
  .regex(/^[a-z][a-z0-9_]*$/, 'is snake_case, e.g. order_paid')
  .refine((name) => !isReservedEvent(name), 'is an event that only siyu itself writes; give it another name')

const common = {
  source: z
    .string()
    .regex(/^[a-z][a-z0-9_-]*$/, 'is a short lower-case name')
    .describe('Name of the source: prefix of event ids, and the source of records.'),
  file: z.string().min(1).describe('The CSV file, relative to this mapping; .gz is unpacked on the fly.'),
  timeZone: z
    .string()
    .refine(isTimeZone, 'is no IANA time zone, e.g. Europe/London')
    .describe('IANA time zone of timestamps that carry none.'),
  timestampFormat: z
    .string()
    .refine((f) => f === 'iso' || /yyyy.*MM.*dd/.test(f), 'is "iso" or made of yyyy MM dd HH mm ss in this order')
    .describe('How timestamps are written: "iso" (with Z or offset), or a format such as "yyyy-MM-dd HH:mm:ss".'),
}

/** One row is one line of an invoice; an invoice becomes one event of the person it names. */
export const OrdersMapping = z.strictObject({
  rows: z.literal('orders').describe('A row is one line of an invoice.'),
  ...common,
  currency: z
    .string()
    .refine((c) => Intl.supportedValuesOf('currency').includes(c), 'is no ISO 4217 currency')
    .describe('ISO 4217 currency of the prices.'),
  columns: z
    .strictObject({
      invoice: Column.describe('Invoice number: rows that share it are one order.'),
      sku: Column.describe('Article code.'),
      description: Column.describe('Article text.'),
      quantity: Column.describe('Pieces, a whole number; negative for returns.'),
      unitPrice: Column.describe('Price of one piece, a decimal number in the major unit.'),
      occurredAt: Column.describe('Time of the line.'),
      customer: Column.describe('Customer number; may be empty.'),
      country: Column.describe('Country of the customer.'),
    })
    .describe('Which column of the file holds what.'),
  customer: z
    .strictObject({
      identifier: IdentifierType.describe('Identifier type that customer numbers become.'),
      pattern: Pattern.describe('What a customer number looks like; its first group, if any, is the value.'),
    })
    .describe('How a customer number becomes an identifier.'),
  withoutCustomer: z
    .enum(['count', 'problem'])
    .describe(
      'Invoices without a customer reach no profile: "count" them in the report, or list each as a "problem" too.',
    ),
  kinds: z
    .array(
      z.strictObject({
        pattern: Pattern.describe('Invoice numbers of this kind.'),
        is: z.enum(['order', 'cancellation', 'adjustment']).describe('Where the report counts it.'),
        event: EventName.optional().describe('Event it becomes; without one it is only counted.'),
      }),
    )
    .min(1)
    .describe('Kinds of invoices; the first whose pattern matches counts.'),
  invoiceSpanMinutes: z
    .int()
    .min(1)
    .max(1440)
    .describe('Lines of one invoice may lie this far apart; the order counts at the earliest.'),
  linesKept: z.int().min(0).max(200).describe('At most so many lines are kept on an event; lineCount tells the whole.'),
  checks: z
    .strictObject({
      notGoods: z.array(z.string()).describe('Article codes that are no goods (postage, discounts, fees).'),
      quantityAtLeast: z.int().min(1).describe('A line of so many pieces, either way, is reported as an outlier.'),
    })
    .describe('What the report points out to people; nothing is left out because of it.'),
})
export type OrdersMapping = z.infer<typeof OrdersMapping>

/** One row is what one system knows about one person. */
export const PeopleMapping = z.strictObject({
  rows: z.literal('people').describe('A row is one person as one system knows them.'),
  ...common,
  columns: z
    .strictObject({
      recordId: Column.describe('Unique id of the row.'),
      observedAt: Column.describe('When the system recorded the person.'),
      system: Column.optional().describe('Which system the row is from; becomes the source of the record.'),
    })
    .describe('Which column of the file holds what.'),
  identifiers: z
    .record(IdentifierType, Column)
    .refine((r) => Object.keys(r).length > 0, 'names no identifier')
    .describe('Identifier type → column. Empty cells are left out.'),
  traits: z.record(z.string().min(1), Column).describe('Trait → column. Empty cells are left out.'),
  event: EventName.optional().describe('Event that each row stands for, at observedAt.'),
})
export type PeopleMapping = z.infer<typeof PeopleMapping>

export const CsvMapping = z.discriminatedUnion('rows', [OrdersMapping, PeopleMapping])
export type CsvMapping = z.infer<typeof CsvMapping>

/** A mapping that was read from a file, and where in it each field stands. */
export type LoadedMapping<M extends CsvMapping = CsvMapping> = {
  mapping: M
  /** The mapping file as it was named by the caller. */
  mappingFile: string
  /** The CSV file, absolute. */
  dataFile: string
  /** 1-based line of a field (`columns.customer`) in the mapping file, or of the nearest field around it. */
  lineOf: (fieldPath: string) => number | undefined
}

/** Reads a mapping. @throws {InvalidInputError} with every problem, each with file and line */
export async function loadCsvMapping(mappingFile: string): Promise<LoadedMapping> {
  const what = `The CSV mapping ${mappingFile} cannot be used`
  const text = await readFile(mappingFile, 'utf8').catch((err: NodeJS.ErrnoException) => {
    const hint = 'name a YAML file that exists and can be read'
    throw new InvalidInputError(what, [{ file: mappingFile, path: '', message: err.code ?? err.message, hint }], {
      cause: err,
    })
  })
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  if (document.errors.length > 0) {
    const problems = document.errors.map((err): Problem => {
      const message = err.message.split('\n', 1)[0] ?? err.code
      return { file: mappingFile, line: lines.linePos(err.pos[0]).line, path: '', message, hint: 'correct the YAML' }
    })
    throw new InvalidInputError(what, problems)
  }
  const lineOf = (fieldPath: string): number | undefined => {
    for (let keys = fieldPath.split('.'); keys.length > 0; keys = keys.slice(0, -1)) {
      const node = document.getIn(keys.map(toKey), true)
      if (hasRange(node)) return lines.linePos(node.range[0]).line
    }
    return undefined
  }
  const raw: unknown = document.toJS()
  const result = CsvMapping.safeParse(raw)
  if (!result.success) {
    const problems = toProblems(result.error, raw).map((p) => ({ ...p, file: mappingFile, line: lineOf(p.path) }))
    throw new InvalidInputError(what, problems)
  }
  const dataFile = path.resolve(path.dirname(mappingFile), result.data.file)
  return { mapping: result.data, mappingFile, dataFile, lineOf }
}

/** What is wrong with a mapping for a file with this header: each column that is named and not there. */
export function checkColumns(loaded: LoadedMapping, header: readonly string[]): Problem[] {
  const { mapping, mappingFile, lineOf } = loaded
  const sections = mapping.rows === 'orders' ? ['columns'] : ['columns', 'identifiers', 'traits']
  return sections.flatMap((section) =>
    Object.entries(mapping[section as keyof CsvMapping] as unknown as Record<string, string>)
      .filter(([, column]) => !header.includes(column))
      .map(([key, column]): Problem => {
        const field = `${section}.${key}`
        const message = `${path.basename(loaded.dataFile)} has no column "${column}"`
        return { file: mappingFile, line: lineOf(field), path: field, message, hint: `it has: ${header.join(', ')}` }
      }),
  )
}

function compiles(pattern: string): boolean {
  try {
    new RegExp(pattern)
    return true
  } catch {
    return false // the schema reports it with the pattern
  }
}

function toKey(key: string): string | number {
  return /^\d+$/.test(key) ? Number(key) : key
}

function hasRange(node: unknown): node is { range: [number, number, number] } {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)
}
