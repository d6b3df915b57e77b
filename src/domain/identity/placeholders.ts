/**
 * What programs and forms write where they have no value; as an identifier it would join strangers.
 *
 * @see PostHog's distinct ids that are refused, posthog.com/docs/product-analytics/identify (read 2026-08)
 */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  ...[
    'undefined',
    'null',
    '(null)',
    '<null>',
    '\\n',
    'nil',
    'none',
    'nan',
    'n/a',
    '#n/a',
    'na',
    'true',
    'false',
    'object',
  ],
  ...['[object object]', '{}', '[]', '.', '?', '/', 'unknown', 'anonymous', 'guest', 'not set', '(not set)'],
  ...['not_authenticated', 'distinct_id', 'distinctid', 'id', 'email', 'openid', 'unionid'],
  ...['无', '空', '未知', '匿名', '暂无', '没有'],
])

/** Case, quotes and blanks around it are of no account; nothing but zeros, dashes and colons is none either. */
export function isPlaceholder(value: string): boolean {
  const bare = value.replace(/^["'`\s]+|["'`\s]+$/g, '').toLowerCase()
  return PLACEHOLDERS.has(bare) || /^[0\-_:\s]*$/.test(bare)
}
