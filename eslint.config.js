import js from '@eslint/js'
import globals from 'globals'
import prettier from 'eslint-config-prettier'
import tseslint from 'typescript-eslint'

const CLOCK = [
  {
    selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']",
    message: 'The clock lives in src/time.ts: take a Clock or a `now` parameter.',
  },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'The clock lives in src/time.ts.' },
]
const DICE = [
  {
    selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
    message: 'Chance lives in src/random.ts: hash (seed, purpose, identifier) instead.',
  },
]
const ENV = [
  {
    selector: "MemberExpression[object.name='process'][property.name='env']",
    message: 'process.env is read in main.ts only.',
  },
]

/** A table's name after the word of SQL that wants one: `FROM events`, and not `FROM numbers(…)` or `FROM system.tables`. */
const TABLE_NAME = '/\\b(FROM|JOIN|INTO|TABLE|VIEW) (IF (NOT )?EXISTS )?[a-z_]+(?![\\w.(])/'
const TABLES = [`Literal[value=${TABLE_NAME}]`, `TemplateElement[value.raw=${TABLE_NAME}]`].map((selector) => ({
  selector,
  message: 'Tables of the event store are named in src/domain/events/tables.ts: write `${eventsTable.name}`.',
}))

/** Which folders of src/ a file may not import from: arrows point down and never back. */
function noImports(files, groups, why) {
  return {
    files,
    rules: {
      'no-restricted-imports': ['error', { patterns: groups.map((group) => ({ group: [group], message: why })) }],
    },
  }
}

const OUTSIDE = ['koa', '@koa/*', 'bull', 'mongoose', '@clickhouse/*', 'chdb', 'chdb/*', 'axios', 'libsql', 'wechaty*']

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', '.siyu/**', 'schemas/**'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      globals: globals.node,
      parserOptions: {
        projectService: {
          allowDefaultProject: [
            'eslint.config.js',
            'jest.config.js',
            '.ci/*.mjs',
            'tests/runner/*.js',
            'tests/fixtures/*.mjs',
          ],
        },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      'no-restricted-syntax': ['error', ...CLOCK, ...DICE, ...ENV, ...TABLES],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    },
  },
  { files: ['src/time.ts'], rules: { 'no-restricted-syntax': ['error', ...DICE, ...ENV, ...TABLES] } },
  { files: ['src/random.ts'], rules: { 'no-restricted-syntax': ['error', ...CLOCK, ...ENV, ...TABLES] } },
  { files: ['src/main.ts'], rules: { 'no-restricted-syntax': ['error', ...CLOCK, ...DICE, ...TABLES] } },
  // SQLite's tables are those of one file each.
  {
    files: ['sandbox/**', 'src/adapters/documents/**'],
    rules: { 'no-restricted-syntax': ['error', ...CLOCK, ...DICE, ...ENV] },
  },
  { files: ['bench/**'], rules: { 'no-restricted-syntax': ['error', ...DICE, ...TABLES] } },
  // Tests look at what is stored from outside; two benchmarks read SQLite.
  {
    files: ['tests/**', 'bench/documents.ts', 'bench/wecom-sync.ts'],
    rules: { 'no-restricted-syntax': ['error', ...DICE] },
  },
  noImports(
    ['src/domain/**'],
    [
      '**/services/**',
      '**/adapters/**',
      '**/channels/**',
      '**/http/**',
      '**/jobs/**',
      '**/cli/**',
      '**/ports/**',
      '**/app/**',
      ...OUTSIDE,
    ],
    'domain/ is pure: it imports domain/, errors, parse, time and random only.',
  ),
  noImports(
    ['src/ports/**'],
    [
      '**/services/**',
      '**/adapters/**',
      '**/channels/**',
      '**/http/**',
      '**/jobs/**',
      '**/cli/**',
      '**/app/**',
      ...OUTSIDE,
    ],
    'ports/ knows domain/ only.',
  ),
  noImports(
    ['src/services/**'],
    ['**/adapters/**', '**/channels/**', '**/http/**', '**/jobs/**', '**/cli/**', '**/app/**', ...OUTSIDE],
    'services/ reach the outside through ports/.',
  ),
  noImports(
    ['src/http/**', 'src/jobs/**', 'src/adapters/**', 'src/channels/**'],
    ['**/cli/**', '**/app/**'],
    'Only app/ composes.',
  ),
  noImports(
    ['src/errors.ts', 'src/parse.ts', 'src/time.ts', 'src/random.ts'],
    ['./[a-df-oqsu-z]*/**'],
    'Leaves import nothing of ours.',
  ),
  noImports(
    ['connectors/**'],
    ['**/src/domain/**', '**/src/services/**', '**/src/adapters/**', '**/src/ports/**', '**/src/app/**'],
    'A connector imports src/connector.ts only.',
  ),
  noImports(
    ['sandbox/**'],
    ['**/src/services/**', '**/src/adapters/**', '**/src/domain/**', '**/src/ports/**', '**/src/app/**'],
    'The sandbox stands alone.',
  ),
  { files: ['*.js', '.ci/*.mjs', 'tests/runner/*.js', 'tests/fixtures/*.mjs'], ...tseslint.configs.disableTypeChecked },
  prettier,
)
