import { meant, nearest, parseYaml, type Problem, readYaml, said } from '../../src/connector.js'
import { ENCODINGS } from './decode.js'
import { checkCsvFile } from './index.js'
import { CsvMapping, type Mapped, placed } from './mapping.js'

/** Names that the brand's other files define; absent: they could not be read, or are not listed. */
export type KnownNames = {
  identifiers?: ReadonlySet<string> | undefined
  events?: ReadonlySet<string> | undefined
  traits?: ReadonlySet<string> | undefined
}

/** A mapping, or as much of a broken one as says where its file is and what of it is used. */
type Part = Mapped & {
  file: string
  encoding?: CsvMapping['encoding']
  delimiter?: string
  event?: unknown
  currency?: unknown
  rows?: unknown
  customer?: unknown
  kinds?: unknown
}

/**
 * What is wrong with a mapping: itself, the columns that its file lacks, names that nobody defines; amounts must be in the brand's
 * currency, since nothing converts them. All at once, whichever of these is broken.
 *
 * @param csv - another file than the one it names
 * @throws {InvalidInputError} when it is no YAML
 */
export async function checkCsvSource(
  file: string,
  { currency, known = {}, csv }: { currency: string; known?: KnownNames; csv?: string | undefined },
): Promise<Problem[]> {
  const yaml = await readYaml(file)
  const parsed = parseYaml(CsvMapping, yaml)
  const part: Part | undefined = 'value' in parsed ? parsed.value : partOf(yaml.value)
  const wrong = 'problems' in parsed ? parsed.problems : []
  if (part === undefined) return wrong
  const loaded = placed(part, file, yaml, csv)
  const at = (field: string) => {
    const line = loaded.lineOf(field)
    return { file, ...(line !== undefined && { line }), path: field }
  }
  const columns = await checkCsvFile(loaded)
  return inOrder([
    ...wrong,
    ...columns,
    ...nameProblems(part, known).map(({ field, ...problem }) => ({ ...at(field), ...problem })),
    ...(part.rows === 'orders' && typeof part.currency === 'string' && part.currency !== currency
      ? [
          {
            ...at('currency'),
            message: said(
              `${part.currency} 与品牌币种 ${currency} 不同`,
              `${part.currency} differs from brand.currency ${currency}`,
            ),
            hint: said(
              '改 brand.currency 或换算后的文件；金额不会自动换算',
              'set brand.currency, or give a converted file: nothing is converted',
            ),
          },
        ]
      : []),
  ])
}

type Named = { field: string; message: string; hint: string }

function nameProblems(part: Part, { identifiers, events, traits }: KnownNames): Named[] {
  const types = [
    ...Object.keys(part.identifiers ?? {}).map((type) => ({ field: `identifiers.${type}`, name: type })),
    ...textsOf({ 'customer.identifier': objectOf(part.customer)['identifier'] }),
  ]
  const kinds = Array.isArray(part.kinds) ? part.kinds : []
  const named = [
    ...textsOf({ event: part.event }),
    ...kinds.flatMap((kind, i) => textsOf({ [`kinds.${i}.event`]: objectOf(kind)['event'] })),
  ]
  return [
    // The type of an openid says the app, too.
    ...types.flatMap(({ field, name }) =>
      identifiers === undefined || identifiers.has(name) || identifiers.has(name.split(':')[0]!)
        ? []
        : [
            {
              field,
              message: said(`没有身份类型 "${name}"`, `there is no identifier type "${name}"`),
              hint: meant(name, identifiers, '在 config/identity.yaml 里定义', 'define it in config/identity.yaml'),
            },
          ],
    ),
    ...named.flatMap(({ field, name }) =>
      events === undefined || events.has(name)
        ? []
        : [
            {
              field,
              message: said(`没有事件 "${name}"`, `there is no event "${name}"`),
              hint: meant(name, events, '在 config/events.yaml 里定义', 'define it in config/events.yaml'),
            },
          ],
    ),
    // The list names those that rules read: one that is like none of them may be kept for people to see.
    ...Object.keys(part.traits ?? {}).flatMap((name) =>
      traits === undefined || traits.has(name) || nearest(name, traits) === undefined
        ? []
        : [
            {
              field: `traits.${name}`,
              message: said(`没有列出特征 "${name}"`, `no trait "${name}" is listed`),
              hint: meant(name, traits, '写进 config/events.yaml 的 traits', 'list it in config/events.yaml'),
            },
          ],
    ),
  ]
}

function textsOf(values: Readonly<Record<string, unknown>>): { field: string; name: string }[] {
  return Object.entries(values).flatMap(([field, name]) => (typeof name === 'string' ? [{ field, name }] : []))
}

function partOf(value: unknown): Part | undefined {
  const { file, encoding, delimiter, columns, identifiers, traits, ...more } = objectOf(value)
  if (typeof file !== 'string' || file === '') return undefined
  const known = ENCODINGS.find((name) => name === encoding)
  return {
    ...more,
    file,
    ...(known !== undefined && { encoding: known }),
    ...(typeof delimiter === 'string' && delimiter.length === 1 && { delimiter }),
    ...{ columns: filledIn(columns), identifiers: filledIn(identifiers), traits: filledIn(traits) },
  }
}

function filledIn(section: unknown): Record<string, string> {
  const named = Object.entries(objectOf(section)).filter(([, column]) => typeof column === 'string' && column !== '')
  return Object.fromEntries(named) as Record<string, string>
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

/** From the top of the mapping; what is of no line comes last. */
function inOrder(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => (a.line ?? Infinity) - (b.line ?? Infinity) || 0)
}
