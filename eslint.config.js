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
const ENV = [
  {
    selector: "MemberExpression[object.name='process'][property.name='env']",
    message: 'process.env is read in main.ts only.',
  },
]

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', '.siyu/**', 'schemas/**'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      globals: globals.node,
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', 'lint/*.js', '.ci/*.mjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      'no-restricted-syntax': ['error', ...CLOCK, ...DICE, ...ENV],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    },
  },
  { files: ['src/time.ts'], rules: { 'no-restricted-syntax': ['error', ...DICE, ...ENV] } },
  { files: ['src/random.ts'], rules: { 'no-restricted-syntax': ['error', ...CLOCK, ...ENV] } },
  { files: ['src/main.ts'], rules: { 'no-restricted-syntax': ['error', ...CLOCK, ...DICE] } },
  { files: ['tests/**', 'bench/**'], rules: { 'no-restricted-syntax': ['error', ...DICE] } },
  { plugins: { rooms }, rules: { 'rooms/imports': 'error' } },
  { files: ['*.js', 'lint/*.js', '.ci/*.mjs'], ...tseslint.configs.disableTypeChecked },
  prettier,
)
