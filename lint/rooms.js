/**
 * Who may import whom: the arrows of docs/architecture.md as a table, and the ESLint rules that keep them. Types count.
 */
import { dirname, relative, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '..')
/** What everybody may stand on. */
const LEAVES = [
  ...['bounds', 'errors', 'escape', 'log', 'parse', 'random', 'said', 'time', 'yaml-file', 'yaml-slips'].map(
    (name) => `src/${name}.ts`,
  ),
]
/** What rules may stand on: nothing that reads or writes. */
const PURE = [
  'src/bounds.ts',
  'src/errors.ts',
  'src/escape.ts',
  'src/parse.ts',
  'src/random.ts',
  'src/said.ts',
  'src/time.ts',
]

/** Room, and the rooms of ours that it may import beside itself. What is not named here is free outside `src`, and an error in it. */
const ARROWS = {
  'src/said.ts': [],
  'src/bounds.ts': [],
  'src/escape.ts': [],
  'src/errors.ts': ['src/said.ts'],
  'src/time.ts': [],
  'src/random.ts': [],
  'src/log.ts': ['src/escape.ts', 'src/time.ts'],
  'src/package-root.ts': [],
  'src/parse.ts': ['src/errors.ts', 'src/said.ts', 'src/time.ts'],
  'src/yaml-slips.ts': PURE,
  'src/yaml-file.ts': [...PURE, 'src/yaml-slips.ts'],
  'src/config.ts': [...LEAVES, 'src/ports/job-queue.ts', 'src/stored/buckets.ts'],
  'src/connector.ts': [...PURE, 'src/yaml-file.ts', 'src/domain'],
  'src/domain': PURE,
  'src/ports': ['src/domain'],
  'src/stored': [...PURE, 'src/domain', 'src/ports'],
  'src/services': [...LEAVES, 'src/domain', 'src/ports', 'src/stored'],
  'src/adapters': [...LEAVES, 'src/domain', 'src/ports'],
  'src/http': [...LEAVES, 'src/domain', 'src/ports', 'src/services'],
  'src/jobs': [...LEAVES, 'src/ports', 'src/services'],
  // Words, tables and figures on a terminal, for commands, the demo and benchmarks.
  'src/print': [...PURE, 'src/domain'],
  // Virtual time: for the demo, tests and what will look back or ahead.
  'src/play': [...PURE, 'src/ports', 'src/services'],
  'src/app': [
    ...LEAVES,
    'src/config.ts',
    'src/domain',
    'src/ports',
    'src/stored',
    'src/services',
    'src/adapters',
    'src/http',
    'src/jobs',
    'connectors',
  ],
  'src/cli': [
    ...LEAVES,
    'src/config.ts',
    'src/package-root.ts',
    'src/domain',
    'src/stored',
    'src/services',
    'src/app',
    'src/print',
    'connectors',
    'sandbox',
  ],
  'src/cli/demo.ts': [...LEAVES, 'src/config.ts', 'src/cli', 'src/print', 'demo'],
  'src/cli/try.ts': [...LEAVES, 'src/config.ts', 'src/cli', 'src/print', 'demo'],
  'src/main.ts': ['src/errors.ts', 'src/escape.ts', 'src/said.ts', 'src/cli'],
  // Each folder of it is a room.
  connectors: ['src/connector.ts'],
  sandbox: LEAVES,
  'sandbox/world': [
    ...PURE,
    ...['identity', 'objects', 'population', 'scenario', 'state', 'xml'].map((name) => `sandbox/${name}.ts`),
  ],
}

/** Packages that could be replaced where they are: nobody else sees them. */
const HOMES = {
  koa: ['src/http', 'demo'],
  '@koa/*': ['src/http', 'demo'],
  bull: ['src/adapters/queue'],
  mongoose: ['src/adapters/documents'],
  libsql: ['src/adapters/documents', 'sandbox/state.ts'],
  '@clickhouse/*': ['src/adapters/events'],
  chdb: ['src/adapters/events'],
  axios: ['src/adapters', 'sandbox'],
  wechaty: ['src/adapters/wechaty'],
  'wechaty-*': ['src/adapters/wechaty'],
  commander: ['src/cli'],
}

const isWithin = (file, room) => file === room || file.startsWith(`${room}/`)

function roomOf(file) {
  if (file.startsWith('connectors/')) return file.split('/').slice(0, 2).join('/')
  const rooms = Object.keys(ARROWS).filter((room) => isWithin(file, room))
  return rooms.sort((a, b) => b.length - a.length)[0]
}

function homesOf(name) {
  const [scope, rest] = name.split('/')
  const bare = scope.startsWith('@') ? `${scope}/${rest}` : scope
  const key = Object.keys(HOMES).find((k) => (k.endsWith('*') ? bare.startsWith(k.slice(0, -1)) : bare === k))
  return key === undefined ? undefined : HOMES[key]
}

/**
 * What is wrong with this import, if anything.
 *
 * @param {string} file - who imports, from the root of the checkout
 * @param {string} specifier - as it is written
 * @returns {string | undefined}
 */
export function wrongImport(file, specifier) {
  if (!specifier.startsWith('.')) {
    const homes = /^(src|connectors|sandbox|demo)\//.test(file) ? homesOf(specifier) : undefined
    if (homes === undefined || homes.some((home) => isWithin(file, home))) return undefined
    return `${specifier} is at home in ${homes.join(', ')} only.`
  }
  const room = roomOf(file)
  // A file of `src` in no room is reported for that.
  if (room === undefined) return undefined
  const target = relative(ROOT, resolve(ROOT, dirname(file), specifier)).replace(/\.js$/, '.ts')
  const allowed = ARROWS[room] ?? ARROWS.connectors
  if ([room, ...allowed].some((other) => isWithin(target, other))) return undefined
  return `${room} may not import ${target}: see the table in lint/rooms.js.`
}

/**
 * What is wrong with the place of this file, if anything.
 *
 * @param {string} file - from the root of the checkout
 * @returns {string | undefined}
 */
export function wrongPlace(file) {
  if (!file.startsWith('src/') || roomOf(file) !== undefined) return undefined
  return `${file} is in no room: give it one, or name its room in lint/rooms.js and docs/architecture.md.`
}

/** @type {import('eslint').Rule.RuleModule} */
const imports = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const file = relative(ROOT, context.filename)
    const look = ({ source }) => {
      if (typeof source?.value !== 'string') return
      const message = wrongImport(file, source.value)
      if (message !== undefined) context.report({ node: source, message })
    }
    return {
      Program(node) {
        const message = wrongPlace(file)
        if (message !== undefined) context.report({ node, message })
      },
      ImportDeclaration: look,
      ExportNamedDeclaration: look,
      ExportAllDeclaration: look,
      ImportExpression: look,
      TSImportType: look,
    }
  },
}

export const rooms = { rules: { imports } }
