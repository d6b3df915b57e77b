import { typeName } from './profile.js'

/**
 * What programs, forms and tables write where they have no value, letter by letter: as an identifier it would join strangers.
 * Other spellings are somebody's own (`Na` and `Guest` may be names), and `allow` in `config/identity.yaml` gives one of these to
 * somebody.
 *
 * @see PostHog's distinct ids that are refused, posthog.com/docs/product-analytics/identify (read 2026-08)
 */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  ...['undefined', 'UNDEFINED', 'null', 'Null', 'NULL', '(null)', '<null>', '\\N', 'nil', '<nil>'],
  ...[
    'none',
    'None',
    'NONE',
    'nan',
    'NaN',
    'NAN',
    'n/a',
    'N/A',
    '#N/A',
    'true',
    'True',
    'TRUE',
    'false',
    'False',
    'FALSE',
  ],
  ...[
    '[object Object]',
    '[object Undefined]',
    '[object Null]',
    'not set',
    '(not set)',
    'unknown',
    'anonymous',
    'guest',
  ],
  ...['无', '空', '未知', '匿名', '暂无', '没有'],
])

/** Numbers that examples and test cards are full of, as `normalise: phone` writes them. */
const TEST_PHONES: ReadonlySet<string> = new Set(['13800138000', '13812345678', '12345678901', '12345678910'])

/** Of one digit; fewer may be a short number of somebody's. */
const EQUAL_DIGITS = /^(\d)\1{5,}$/
/** Nothing but zeros and signs, as of a device without an id. */
const NOTHING = /^[0\p{P}\p{S}\s]*$/u
const PRINTABLE = /^[\x20-\x7e]*$/
/** What nobody sees, wherever it stands: zero-width and soft signs, marks of direction, fillers. */
const UNSEEN = /[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\u2800]/gu

/**
 * Whether a value is no identifier whatever its type says. Blanks and quotes around it, signs that nobody sees, and the width of
 * letters are of no account; small and capital letters are.
 */
export function isPlaceholder(type: string, value: string): boolean {
  const seen = PRINTABLE.test(value) ? value : value.normalize('NFKC').replace(UNSEEN, '')
  const bare = seen.replace(/^["'`\s]+|["'`\s]+$/g, '')
  return (
    PLACEHOLDERS.has(bare) ||
    NOTHING.test(bare) ||
    EQUAL_DIGITS.test(bare) ||
    // The name of a field that was not filled in.
    bare === typeName(type) ||
    (type === 'phone' && TEST_PHONES.has(bare))
  )
}
