import { timestampReader } from './map.js'

/** What a column was taken for, by its name or what stands in it. */
type Meaning = 'order' | 'time' | 'amount' | 'quantity' | 'unitPrice' | 'sku' | 'description' | 'country'

/** A mapping as it would be written, and what of the file it leaves out. */
export type Guess = {
  mapping: Record<string, unknown>
  /** Columns that were recognised as nothing. */
  unused: string[]
}

/** What cannot be told from the file, for people; Chinese first, then English. */
export type NoGuess = { missing: 'rows' | 'who' | 'time' | 'amount'; header: readonly string[] }

export type GuessOptions = {
  /** Name of the source, and the file as the mapping will name it. */
  source: string
  file: string
  /** The brand's. */
  timeZone: string
  currency: string
  /** Types of identifiers that it knows, most trusted first. */
  identifierTypes: readonly string[]
}

/** Names of columns, without spaces and in lower case; the first that fits counts. */
const NAMES: readonly (readonly [Meaning, RegExp])[] = [
  ['order', /^(订单编?号|订单id|单号|交易号|主订单编?号|orderno|orderid|ordernumber|invoiceno|invoice|tradeno|tid)$/],
  [
    'time',
    /^(支付时间|付款时间|下单时间|订单创建时间|创建时间|成交时间|时间|日期|注册时间|registeredat|paidat|paytime|createdat|orderedat|ordertime|orderdate|invoicedate|date|time|at)$/,
  ],
  [
    'amount',
    /^(实付金额|实付款|实付|买家实际支付金额|订单实付金额|实收金额|实收|支付金额|付款金额|成交金额|订单金额|应付金额|金额|总金额|总价|合计|amount|total|totalamount|paid|payamount|totalprice)([（(].*[)）])?$/,
  ],
  ['quantity', /^(数量|件数|购买数量|quantity|qty)$/],
  ['unitPrice', /^(单价|商品单价|unitprice|price)$/],
  ['sku', /^(sku|skuid|sku编码|货号|商品编码|商品编号|商家编码|stockcode|productcode)$/],
  ['description', /^(商品名称?|商品标题|宝贝标题|商品|description|producttitle|productname)$/],
  ['country', /^(国家|country)$/],
]

const IDENTIFIERS: readonly (readonly [type: string, name: RegExp, value?: RegExp])[] = [
  ['unionid', /^union_?id$/],
  ['external_userid', /^(external_?user_?id|客户外部id|外部联系人id)$/],
  [
    'member_id',
    /^(会员号|会员id|会员编号|会员卡号|客户号|客户编号|客户id|用户id|用户编号|买家id|member|memberid|memberno|customerid|customerno|userid|buyerid)$/,
  ],
  [
    'phone',
    /^(手机号?码?|手机|联系电话|联系手机|收货人手机|电话|phone|mobile|tel|phonenumber|mobilephone)$/,
    /^(\+?86[- ]?)?1\d{10}$/,
  ],
  ['email', /^(邮箱|电子邮箱|e-?mail)$/, /^[^@\s]+@[^@\s]+\.[^@\s]+$/],
  ['openid', /^open_?id$/],
]

const TRAITS: readonly (readonly [trait: string, name: RegExp])[] = [
  ['name', /^(姓名|名字|昵称|客户姓名|会员姓名|收货人|name|nickname)$/],
  ['city', /^(城市|所在城市|city)$/],
  ['birthday', /^(生日|出生日期|birthday|birthdate)$/],
  ['gender', /^(性别|gender|sex)$/],
]

const RECORD_ID = /^(id|recordid|编号|序号|记录id)$/

const FORMATS = [
  'iso',
  'yyyy-MM-dd HH:mm:ss',
  'yyyy/MM/dd HH:mm:ss',
  'yyyy-MM-dd HH:mm',
  'yyyy-M-d H:mm:ss',
  'yyyy/M/d H:mm:ss',
  'yyyy/M/d H:mm',
  'yyyy-M-d H:mm',
  'yyyy年M月d日 H:mm:ss',
  'yyyy年M月d日',
  'yyyy-M-d',
  'yyyy/M/d',
  'yyyyMMddHHmmss',
  'yyyyMMdd',
] as const

/**
 * What a file most likely holds, by the names of its columns and what stands in its first rows: orders, where there is an order
 * number, a time and an amount; else people.
 *
 * @param header - of the file, and `rows` its first ones
 */
export function guessMapping(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  options: GuessOptions,
): Guess | NoGuess {
  const taken = new Set<string>()
  const valuesOf = (column: string) =>
    rows.map((row) => (row[header.indexOf(column)] ?? '').trim()).filter((value) => value !== '')
  const take = (name: RegExp, fits: (values: string[]) => boolean = () => true): string | undefined => {
    const found = header.find((column) => !taken.has(column) && name.test(plain(column)) && fits(valuesOf(column)))
    if (found !== undefined) taken.add(found)
    return found
  }
  if (rows.length === 0) return { missing: 'rows', header }

  const times: { column: string; format: string }[] = []
  const isTime = (column: string): boolean => {
    const format = formatOf(valuesOf(column), options.timeZone)
    if (format !== undefined) times.push({ column, format })
    return format !== undefined
  }
  const columns: Partial<Record<Meaning, string>> = {}
  for (const [meaning, name] of NAMES) {
    // The names stand in order of preference: paid before ordered.
    const found =
      meaning === 'time'
        ? bestOf(
            header.filter((column) => !taken.has(column) && name.test(plain(column))),
            name,
          ).find(isTime)
        : take(name)
    if (found === undefined) continue
    taken.add(found)
    columns[meaning] = found
  }
  const identifiers: Record<string, string> = {}
  for (const [type, name, value] of IDENTIFIERS) {
    if (!options.identifierTypes.includes(type)) continue
    const found =
      take(name) ??
      (value === undefined
        ? undefined
        : take(/./, (values) => values.filter((v) => value.test(v)).length > values.length / 2))
    if (found !== undefined) identifiers[type] = found
  }
  if (Object.keys(identifiers).length === 0) return { missing: 'who', header }

  const head = { source: options.source, file: options.file }
  const clock = { timeZone: options.timeZone, timestampFormat: times[0]?.format ?? 'iso' }
  const unused = () => header.filter((column) => !taken.has(column))
  const hasAmount = columns.amount !== undefined || (columns.quantity !== undefined && columns.unitPrice !== undefined)
  if (columns.order !== undefined) {
    if (columns.time === undefined) return { missing: 'time', header }
    if (!hasAmount) return { missing: 'amount', header }
    const { order, time, amount, quantity, unitPrice, ...more } = columns
    const priced =
      amount === undefined ? { quantity, unitPrice } : { amount, ...(quantity !== undefined && { quantity }) }
    if (amount !== undefined && unitPrice !== undefined) taken.delete(unitPrice)
    return {
      mapping: {
        ...{ rows: 'orders', ...head, currency: options.currency, ...clock },
        columns: { invoice: order, occurredAt: time, ...priced, ...more },
        identifiers,
        duplicateRows: more.sku === undefined && more.description === undefined ? 'drop' : 'keep',
      },
      unused: unused(),
    }
  }
  for (const meaning of ['amount', 'quantity', 'unitPrice', 'sku', 'description'] as const)
    if (columns[meaning] !== undefined) taken.delete(columns[meaning])
  const traits: Record<string, string> = {}
  for (const [trait, name] of TRAITS) {
    const found = take(name)
    if (found !== undefined) traits[trait] = found
  }
  const isEach = (values: string[]) => values.length === rows.length && new Set(values).size === values.length
  const recordId = take(RECORD_ID, isEach)
  return {
    mapping: {
      ...{ rows: 'people', ...head, ...clock },
      columns: {
        ...(recordId !== undefined && { recordId }),
        ...(columns.time !== undefined && { observedAt: columns.time }),
      },
      identifiers,
      traits,
      ...(columns.time !== undefined && /注册|regist/i.test(columns.time) && { event: 'registered' }),
    },
    unused: unused(),
  }
}

/** `订单 编号` and `Order_No` as they are compared. */
function plain(column: string): string {
  return column.replace(/[\s_\-"'\uFEFF]/g, '').toLowerCase()
}

/** Columns in the order in which the names stand in the pattern. */
function bestOf(columns: readonly string[], pattern: RegExp): string[] {
  const names = pattern.source.replace(/^\^\(|\)\$$/g, '').split('|')
  return [...columns].sort((a, b) => names.indexOf(plain(a)) - names.indexOf(plain(b)))
}

/** The format that most values have: some rows are odd in every export, and an import tells which. */
function formatOf(values: readonly string[], timeZone: string): string | undefined {
  let [best, most] = [undefined as string | undefined, values.length / 2]
  for (const format of FORMATS) {
    const read = timestampReader(format, timeZone)
    const fitting = values.filter((value) => read(value) !== undefined).length
    if (fitting > most) [best, most] = [format, fitting]
  }
  return best
}
