import { spawn, type ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'

/** Reads `.ts` where the import says `.js`, stripping types as jest does. */
const HOOKS = `
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { transformSync } from '@swc/core'
export async function resolve(specifier, context, next) {
  if (specifier.startsWith('.') && specifier.endsWith('.js') && context.parentURL) {
    const url = new URL(specifier.slice(0, -3) + '.ts', context.parentURL)
    if (existsSync(fileURLToPath(url))) return { url: url.href, shortCircuit: true }
  }
  return next(specifier, context)
}
export async function load(url, context, next) {
  if (!url.endsWith('.ts')) return next(url, context)
  const { code } = transformSync(readFileSync(fileURLToPath(url), 'utf8'), { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } })
  return { format: 'module', source: code, shortCircuit: true }
}`

/** Runs a TypeScript file of this repository (path from its root) in a Node process of its own, without a build. */
export function spawnTs(file: string, args: readonly string[]): ChildProcess {
  // A data: URL cannot import packages by name, so the transformer is named by its place.
  const hooks = HOOKS.replace('@swc/core', new URL('../../node_modules/@swc/core/index.js', import.meta.url).href)
  const register = `import { register } from 'node:module'; register(${JSON.stringify(dataUrl(hooks))})`
  return spawn(process.execPath, ['--import', dataUrl(register), resolve(file), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function dataUrl(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`
}
