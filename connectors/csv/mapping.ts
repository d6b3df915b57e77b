import path from 'node:path'
import { z } from 'zod'
import {
  InvalidInputError,
  isOwnSource,
  isReservedEvent,
  isTimeZone,
  meant,
  parseYaml,
  type Problem,
  readYaml,
  said,
} from '../../src/connector.js'
import { ENCODINGS } from './decode.js'

const Column = z.string().min(1)
const Pattern = z.string().refine(compiles, said('不是正则表达式', 'is no regular expression'))
const IdentifierType = z
  .string()
  .regex(/^[a-z][a-z0-9_]*(:[A-Za-z0-9_-]+)?$/, said('用小写字母，如 member_id', 'is lower case, e.g. member_id'))
const EventName = z
  .string()
  .regex(/^[a-z][a-z0-9_]*$/, said('用小写字母、数字和下划线，如 order_paid', 'is snake_case, e.g. order_paid'))
  .refine(
    (name) => !isReservedEvent(name),
    said('是只由 siyu 自己写的系统事件；换个名字', 'is an event that only siyu itself writes; give it another name'),
  )

const common = {
  source: z
    .string()
    .regex(/^[a-z][a-z0-9_-]*$/, said('要写一个小写的短名称', 'is a short lower-case name'))
    .refine(
      (source) => !isOwnSource(source),
      said(
        'siyu、wecom、wechaty 是 siyu 自己用的来源；换个名字，如 my-shop',
        'is a source that only siyu itself writes under; give it another name, e.g. my-shop',
      ),
    )
    .describe(
      said(
        '来源的名称：事件 id 的前缀，也是记录的来源。',
        'Name of the source: prefix of event ids, and the source of records.',
      ),
    ),
  file: z
    .string()
    .min(1)
    .describe(
      said(
        'CSV 文件，相对于本映射；.gz 边读边解压。',
        'The CSV file, relative to this mapping; .gz is unpacked on the fly.',
      ),
    ),
  encoding: z
    .enum([...ENCODINGS, 'gbk'])
    .optional()
    .describe(
      said(
        '文件的编码；不写则自己认出 UTF-8、UTF-16 和 GB18030（GBK）',
        'Encoding of the file; without it UTF-8, UTF-16 and GB18030 (GBK) are told apart.',
      ),
    ),
  delimiter: z
    .string()
    .length(1)
    .optional()
    .describe(
      said(
        '单元格之间的字符；不写则从逗号、分号、制表符和竖线里认出',
        'What stands between cells; without it comma, semicolon, tab or bar, as the header shows.',
      ),
    ),
  timeZone: z
    .string()
    .refine(isTimeZone, said('不是 IANA 时区，如 Asia/Shanghai', 'is no IANA time zone, e.g. Europe/London'))
    .describe(said('没带时区的时间按哪个 IANA 时区。', 'IANA time zone of timestamps that carry none.')),
  timestampFormat: z
    .string()
    .refine(
      (f) => f === 'iso' || /yyyy.*M.*d/.test(f),
      said('写 "iso"，或按顺序由 yyyy MM dd HH mm ss 组成', 'is "iso" or made of yyyy MM dd HH mm ss in this order'),
    )
    .describe(
      said(
        '时间怎么写："iso"（带 Z 或偏移），或如 "yyyy-MM-dd HH:mm:ss"；M、d、H 表示一位或两位。',
        'How timestamps are written: "iso" (with Z or offset), or a format such as "yyyy-MM-dd HH:mm:ss"; M, d and H stand for one digit or two.',
      ),
    ),
}

const Identifiers = z
  .record(IdentifierType, Column)
  .refine((r) => Object.keys(r).length > 0, said('没有写任何身份标识', 'names no identifier'))
  .describe(
    said(
      '身份类型 → 列；一行里的都属于同一个人，空单元格不算。',
      'Identifier type → column; all of a row belong to one person. Empty cells are left out.',
    ),
  )

/** A row is an order, or one line of it; rows that share an invoice number become one event of the person they name. */
export const OrdersMapping = z
  .strictObject({
    rows: z
      .literal('orders')
      .describe(said('一行是一张订单，或其中一条明细。', 'A row is an order, or one line of it.')),
    ...common,
    currency: z
      .string()
      .refine(
        (c) => Intl.supportedValuesOf('currency').includes(c),
        said('不是 ISO 4217 币种', 'is no ISO 4217 currency'),
      )
      .describe(said('价格的币种（ISO 4217）。', 'ISO 4217 currency of the prices.')),
    columns: z
      .strictObject({
        invoice: Column.describe(
          said('单号：单号相同的行是一单。', 'Invoice number: rows that share it are one order.'),
        ),
        occurredAt: Column.describe(said('这一行的时间。', 'Time of the row.')),
        amount: Column.optional().describe(
          said(
            '这一行的金额，以元为单位的小数；或写 quantity 和 unitPrice。',
            'Amount of the row, a decimal number in the major unit; or quantity and unitPrice.',
          ),
        ),
        quantity: Column.optional().describe(
          said('件数，整数；退货为负。', 'Pieces, a whole number; negative for returns.'),
        ),
        unitPrice: Column.optional().describe(
          said('单价，以元为单位的小数。', 'Price of one piece, a decimal number in the major unit.'),
        ),
        sku: Column.optional().describe(
          said('货号；写了它，事件里会留下明细。', 'Article code; with it the lines are kept on the event.'),
        ),
        description: Column.optional().describe(said('商品名称。', 'Article text.')),
        customer: Column.optional().describe(
          said(
            '客户号，可以空着；与 customer 一节一起用。',
            'Customer number; may be empty. Goes with the section customer.',
          ),
        ),
        country: Column.optional().describe(said('客户所在国家。', 'Country of the customer.')),
      })
      .describe(said('文件的哪一列是什么。', 'Which column of the file holds what.')),
    customer: z
      .strictObject({
        identifier: IdentifierType.describe(
          said('客户号成为哪种身份标识。', 'Identifier type that customer numbers become.'),
        ),
        pattern: Pattern.describe(
          said(
            '客户号的样子；有括号时取第一个括号里的。',
            'What a customer number looks like; its first group, if any, is the value.',
          ),
        ),
      })
      .optional()
      .describe(
        said(
          '单元格里不只是客户号时，怎样取出身份标识。',
          'How a customer number becomes an identifier, where the cell is not the bare value.',
        ),
      ),
    identifiers: Identifiers.optional(),
    rowOrder: z
      .enum(['any', 'ascending'])
      .default('any')
      .describe(
        said(
          '"any"：先在内存里收齐再排序；"ascending"：已按时间排好，文件多大都行。',
          '"any": orders are gathered in memory and sorted; "ascending": by time already, a file of any size.',
        ),
      ),
    duplicateRows: z
      .enum(['keep', 'drop', 'problem'])
      .default('keep')
      .describe(
        said(
          '与前面某行每一列都相同的行："keep" 算又一条明细，"drop" 不要，"problem" 不要并列出。',
          'A row equal in every column to an earlier one: "keep" it as one more line, "drop" it, or drop and list it as a "problem".',
        ),
      ),
    withoutCustomer: z
      .enum(['count', 'problem'])
      .default('count')
      .describe(
        said(
          '没有客户的单据不归任何人："count" 只在报告里计数，"problem" 还逐条列出。',
          'Invoices without a customer reach no profile: "count" them in the report, or list each as a "problem" too.',
        ),
      ),
    kinds: z
      .array(
        z.strictObject({
          pattern: Pattern.describe(said('这一类的单号。', 'Invoice numbers of this kind.')),
          is: z
            .enum(['order', 'cancellation', 'adjustment'])
            .describe(said('报告里算在哪一类。', 'Where the report counts it.')),
          event: EventName.optional().describe(
            said('成为哪个事件；不写只计数。', 'Event it becomes; without one it is only counted.'),
          ),
        }),
      )
      .min(1)
      .default([{ pattern: '', is: 'order', event: 'order_paid' }])
      .describe(
        said(
          '单据种类；从上到下第一个符合的算数。默认每一单都是 order_paid。',
          'Kinds of invoices; the first whose pattern matches counts. Default: each is an order_paid.',
        ),
      ),
    invoiceSpanMinutes: z
      .int()
      .min(1)
      .max(1440)
      .default(10)
      .describe(
        said(
          '按时间排好时，同一单的各行最多相隔多少分钟；订单按最早的算。',
          'In ascending order, lines of one invoice may lie this far apart; the order counts at the earliest.',
        ),
      ),
    linesKept: z
      .int()
      .min(0)
      .max(200)
      .default(50)
      .describe(
        said(
          '事件里最多留几行明细；总行数在 lineCount。',
          'At most so many lines are kept on an event; lineCount tells the whole.',
        ),
      ),
    checks: z
      .strictObject({
        notGoods: z
          .array(z.string())
          .default([])
          .describe(
            said(
              '不是商品的货号（邮费、折扣、手续费）。',
              'Article codes that are no goods (postage, discounts, fees).',
            ),
          ),
        quantityAtLeast: z
          .int()
          .min(1)
          .default(10_000)
          .describe(
            said(
              '一行达到这么多件就在报告里指出。',
              'A line of so many pieces, either way, is reported as an outlier.',
            ),
          ),
      })
      .prefault({})
      .describe(
        said(
          '报告里要指出什么；不会因此漏掉任何一行。',
          'What the report points out to people; nothing is left out because of it.',
        ),
      ),
  })
  .refine(({ columns: c }) => c.amount !== undefined || (c.quantity !== undefined && c.unitPrice !== undefined), {
    path: ['columns', 'amount'],
    message: said(
      '没有写金额的列；或写 quantity 和 unitPrice',
      'is missing: name the column of the amount, or quantity and unitPrice',
    ),
  })
  .refine(({ columns, customer }) => (columns.customer === undefined) === (customer === undefined), {
    path: ['customer'],
    message: said(
      'columns.customer 和 customer 要一起写；没有 pattern 就写 identifiers',
      'columns.customer and customer go together; without a pattern write identifiers instead',
    ),
  })
  .refine(({ customer, identifiers }) => customer !== undefined || identifiers !== undefined, {
    path: ['identifiers'],
    message: said(
      '没有写是谁下的单，如 { member_id: <列> }',
      'is missing: say who ordered, e.g. { member_id: <column> }',
    ),
  })
export type OrdersMapping = z.infer<typeof OrdersMapping>

/** One row is what one system knows about one person. */
export const PeopleMapping = z
  .strictObject({
    rows: z
      .literal('people')
      .describe(said('一行是一个系统所知的一个人。', 'A row is one person as one system knows them.')),
    ...common,
    columns: z
      .strictObject({
        recordId: Column.optional().describe(
          said(
            '这一行的编号，不能重复；没有就靠身份标识认人。',
            'Unique id of the row; without it a person is known by her identifiers.',
          ),
        ),
        observedAt: Column.optional().describe(
          said(
            '系统记录这个人的时间；不写则是文件最后改动的时间。',
            'When the system recorded the person; without it, when the file was last changed.',
          ),
        ),
        system: Column.optional().describe(
          said(
            '这一行来自哪个系统；成为记录的来源。',
            'Which system the row is from; becomes the source of the record.',
          ),
        ),
      })
      .prefault({})
      .describe(said('文件的哪一列是什么。', 'Which column of the file holds what.')),
    identifiers: Identifiers,
    traits: z
      .record(z.string().min(1), Column)
      .default({})
      .describe(said('特征 → 列；空单元格不算。', 'Trait → column. Empty cells are left out.')),
    event: EventName.optional().describe(
      said('每一行代表的事件，时间为 observedAt。', 'Event that each row stands for, at observedAt.'),
    ),
    duplicateRows: z
      .enum(['keep', 'drop', 'problem'])
      .default('problem')
      .describe(
        said(
          '编号与前面相同的行："keep" 算后来所知，"drop" 不要，"problem" 列出。',
          'A row with the recordId of an earlier one: "keep" it as what is known later, "drop" it, or list it as a "problem".',
        ),
      ),
  })
  .refine(({ event, columns }) => event === undefined || columns.observedAt !== undefined, {
    path: ['event'],
    message: said('要写 columns.observedAt：不知道何时发生', 'needs columns.observedAt: nobody knows when it happened'),
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

/**
 * Reads a mapping.
 *
 * @param csv - another file than the one it names, relative to the current directory
 * @throws {InvalidInputError} with every problem, each with file and line
 */
export async function loadCsvMapping(mappingFile: string, csv?: string): Promise<LoadedMapping> {
  const yaml = await readYaml(mappingFile)
  const parsed = parseYaml(CsvMapping, yaml)
  if ('problems' in parsed)
    throw new InvalidInputError(
      said(`映射文件 ${mappingFile} 不能用`, `The CSV mapping ${mappingFile} cannot be used`),
      parsed.problems,
    )
  return placed(parsed.value, mappingFile, yaml, csv)
}

/** A mapping, or what of one can be read, with where it stands. */
export function placed<M extends { file: string }>(
  mapping: M,
  mappingFile: string,
  yaml: { lineOf: (path: string[]) => number | undefined },
  csv?: string,
): Omit<LoadedMapping, 'mapping'> & { mapping: M } {
  const dataFile = csv === undefined ? path.resolve(path.dirname(mappingFile), mapping.file) : path.resolve(csv)
  return { mapping, mappingFile, dataFile, lineOf: (fieldPath) => yaml.lineOf(fieldPath.split('.')) }
}

type Columns = Readonly<Record<string, string | undefined>>

/** What a mapping says of columns; of one that is broken, as much as can be read. */
export type Mapped = { columns?: Columns; identifiers?: Columns | undefined; traits?: Columns }

/** The columns that a mapping names, each with its field. */
export function mappedColumns({ columns, identifiers, traits }: Mapped): { field: string; column: string }[] {
  return Object.entries({ columns, identifiers, traits }).flatMap(([section, named]) =>
    Object.entries(named ?? {}).flatMap(([key, column]) =>
      column === undefined ? [] : [{ field: `${section}.${key}`, column }],
    ),
  )
}

/** What is wrong with a mapping for a file with this header: each column that is named and is not there, or is there twice. */
export function checkColumns(
  loaded: Omit<LoadedMapping, 'mapping'> & { mapping: Mapped },
  header: readonly string[],
): Problem[] {
  const { mapping, mappingFile, lineOf } = loaded
  const name = path.basename(loaded.dataFile)
  return mappedColumns(mapping).flatMap(({ field, column }): Problem[] => {
    const places = [...header.keys()].filter((i) => header[i] === column).map((i) => i + 1)
    if (places.length === 1) return []
    const at = { file: mappingFile, line: lineOf(field), path: field }
    if (places.length === 0) {
      const columns = header.join(', ')
      const message = said(`${name} 没有列 "${column}"`, `${name} has no column "${column}"`)
      return [{ ...at, message, hint: meant(column, header, `看文件里的列：${columns}`, `it has: ${columns}`) }]
    }
    return [
      {
        ...at,
        message: said(
          `${name} 有 ${places.length} 列都叫 "${column}"（第 ${places.join('、')} 列）`,
          `${name} has ${places.length} columns "${column}" (columns ${places.join(' and ')})`,
        ),
        hint: said('在文件里给它们不同的名字，或删掉一列', 'give them different names in the file, or remove one'),
      },
    ]
  })
}

function compiles(pattern: string): boolean {
  try {
    new RegExp(pattern)
    return true
  } catch {
    return false // the schema reports it with the pattern
  }
}
