import js from '@eslint/js'
import globals from 'globals'
import prettier from 'eslint-config-prettier'
import tseslint from 'typescript-eslint'
import { rooms } from './lint/rooms.js'

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
const TEST_CLOCK = [
  "MemberExpression[object.name='performance']",
  "MemberExpression[property.name='performance']",
  "MemberExpression[object.name='Date'][property.name='now']",
  "MemberExpression[object.property.name='Date'][property.name='now']",
  "MemberExpression[object.name='systemClock'][property.name='now']",
  "MemberExpression[object.property.name='systemClock'][property.name='now']",
  "MemberExpression[object.name='process'][property.name='hrtime']",
  "MemberExpression[property.name='elapsedMs']",
  "NewExpression[callee.name='Date'][arguments.length=0]",
  "CallExpression[callee.name='Date']",
  'VariableDeclarator[id.type=ObjectPattern][init.name=/^(performance|Date|systemClock)$/]',
  'ImportDeclaration[source.value=/^(node:)?perf_hooks$/]',
  "ImportSpecifier[imported.name='elapsedMs']",
  "ImportDeclaration[source.value=/^(node:)?process$/] ImportSpecifier[imported.name='hrtime']",
].map((selector) => ({
  selector,
  message:
    'Tests do not measure time, or a slow machine fails them. Count calls, rows or timers, wait with waitUntil, inject a clock or use stopClocks (tests/support); what is worth measuring goes to bench/.',
}))
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
  // Two benchmarks read SQLite.
  { files: ['bench/documents.ts', 'bench/wecom-sync.ts'], rules: { 'no-restricted-syntax': ['error', ...DICE] } },
  // Tests look at what is stored from outside.
  { files: ['tests/**'], rules: { 'no-restricted-syntax': ['error', ...DICE, ...TEST_CLOCK] } },
  { plugins: { rooms }, rules: { 'rooms/imports': 'error' } },
  {
    files: ['*.js', 'lint/*.js', '.ci/*.mjs', 'tests/runner/*.js', 'tests/fixtures/*.mjs'],
    ...tseslint.configs.disableTypeChecked,
  },
  prettier,
)
