import { readFileSync } from 'node:fs'
import js from '@eslint/js'
import globals from 'globals'
import prettier from 'eslint-config-prettier'
import tseslint from 'typescript-eslint'
import { rooms } from './lint/rooms.js'
import { words } from './lint/words.js'

/** Every way to get at `<object>.<property>`: named, in brackets, by way of another object, taken apart, imported. */
function waysTo(object, property, module) {
  return [
    `MemberExpression[object.name='${object}'][property.name='${property}']`,
    `MemberExpression[object.name='${object}'][property.value='${property}']`,
    `MemberExpression[object.property.name='${object}'][property.name='${property}']`,
    `MemberExpression[object.property.name='${object}'][property.value='${property}']`,
    `VariableDeclarator[init.name='${object}'] > ObjectPattern > Property[key.name='${property}']`,
    `VariableDeclarator[init.property.name='${object}'] > ObjectPattern > Property[key.name='${property}']`,
    ...(module === undefined
      ? []
      : [`ImportDeclaration[source.value=/^(node:)?${module}$/] ImportSpecifier[imported.name='${property}']`]),
  ]
}
const saying = (message, selectors) => selectors.map((selector) => ({ selector, message }))

/** The time of day, and what counts from a start that nobody sets. */
const TELLING_TIME = [
  ...waysTo('Date', 'now'),
  ...waysTo('performance', 'now'),
  ...waysTo('process', 'hrtime', 'process'),
  'ImportDeclaration[source.value=/^(node:)?perf_hooks$/]',
  "CallExpression[callee.name='Date']",
  "NewExpression[callee.name='Date'][arguments.length=0]",
  "NewExpression[callee.property.name='Date'][arguments.length=0]",
]
const CLOCK = saying('The clock lives in src/time.ts: take a Clock or a `now` parameter.', TELLING_TIME)
const DICE = saying('Chance lives in src/random.ts: hash (seed, purpose, identifier) instead.', [
  ...waysTo('Math', 'random'),
  'MemberExpression[property.name=/^(randomUUID|randomBytes|randomInt|getRandomValues)$/]',
  'ImportSpecifier[imported.name=/^(randomUUID|randomBytes|randomInt|getRandomValues|webcrypto)$/]',
])
const TEST_CLOCK = saying(
  'Tests do not measure time, or a slow machine fails them. Count calls, rows or timers, wait with waitUntil, inject a clock or use stopClocks (tests/support); what is worth measuring goes to bench/.',
  [
    ...TELLING_TIME,
    ...waysTo('systemClock', 'now'),
    "MemberExpression[object.name='performance']",
    "MemberExpression[property.name='performance']",
    "MemberExpression[property.name='elapsedMs']",
    'VariableDeclarator[id.type=ObjectPattern][init.name=/^(performance|Date|systemClock)$/]',
    "ImportSpecifier[imported.name='elapsedMs']",
  ],
)
const ENV = saying('process.env is read in main.ts only.', waysTo('process', 'env', 'process'))

/** Of the event store, as they are called where they are at home. */
const TABLES_AT_HOME = [
  ...readFileSync(new URL('src/domain/events/tables.ts', import.meta.url), 'utf8').matchAll(/defineTable\('(\w+)'/g),
].map(([, name]) => name)
const BEFORE_A_TABLE = '(FROM|JOIN|INTO|TABLE|VIEW)\\s+(IF\\s+(NOT\\s+)?EXISTS\\s+)?'
const TABLES = [
  /** Whatever stands after the word of SQL that wants a table: `FROM events`, and not `FROM numbers(…)` or `FROM system.tables`. */
  `/\\b${BEFORE_A_TABLE}[a-z_]+(?![\\w.(])/`,
  /** One of ours after such a word, however that is written. */
  `/\\b${BEFORE_A_TABLE}\`?(${TABLES_AT_HOME.join('|')})\\b/i`,
].flatMap((text) =>
  saying('Tables of the event store are named in src/domain/events/tables.ts: write `${eventsTable.name}`.', [
    `Literal[value=${text}]`,
    `TemplateElement[value.raw=${text}]`,
  ]),
)

/** A SELECT may leave rows out; these take them away. */
const SHORTENING = /(^|\s)DELETE\s+(FROM|WHERE)\b|\bTRUNCATE\s+TABLE\b|\bDROP\s+PART|\bTTL\s/i
const LOGS = saying(
  'Logs of the event store are only added to: the past is read from them. Whoever shortens one moves its horizon first and logs what stands there: src/services/runtime/date-past.ts.',
  [`Literal[value=${SHORTENING}]`, `TemplateElement[value.raw=${SHORTENING}]`],
)
const EVENT_STORE = [...TABLES, ...LOGS]

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', '.siyu/**', 'schemas/**'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      globals: globals.node,
      parserOptions: {
        projectService: {
          allowDefaultProject: ['*.js', 'lint/*.js', '.ci/*.mjs', 'tests/runner/*.js', 'tests/fixtures/*.mjs'],
        },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      'no-restricted-syntax': ['error', ...CLOCK, ...DICE, ...ENV, ...EVENT_STORE],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    },
  },
  { files: ['src/time.ts'], rules: { 'no-restricted-syntax': ['error', ...DICE, ...ENV, ...EVENT_STORE] } },
  { files: ['src/random.ts'], rules: { 'no-restricted-syntax': ['error', ...CLOCK, ...ENV, ...EVENT_STORE] } },
  { files: ['src/main.ts'], rules: { 'no-restricted-syntax': ['error', ...CLOCK, ...DICE, ...EVENT_STORE] } },
  // SQLite's tables are those of one file each.
  {
    files: ['sandbox/**', 'src/adapters/documents/**'],
    rules: { 'no-restricted-syntax': ['error', ...CLOCK, ...DICE, ...ENV] },
  },
  { files: ['bench/**'], rules: { 'no-restricted-syntax': ['error', ...DICE, ...EVENT_STORE] } },
  // Two benchmarks read SQLite.
  { files: ['bench/documents.ts', 'bench/wecom-sync.ts'], rules: { 'no-restricted-syntax': ['error', ...DICE] } },
  // Tests look at what is stored from outside.
  { files: ['tests/**'], rules: { 'no-restricted-syntax': ['error', ...DICE, ...TEST_CLOCK] } },
  { plugins: { rooms }, rules: { 'rooms/imports': 'error' } },
  {
    files: ['connectors/**', 'src/*.ts', 'src/{app,cli,domain,http,services}/**'],
    plugins: { words },
    rules: { 'words/said': 'error' },
  },
  {
    files: ['*.js', 'lint/*.js', '.ci/*.mjs', 'tests/runner/*.js', 'tests/fixtures/*.mjs'],
    ...tseslint.configs.disableTypeChecked,
  },
  prettier,
)
