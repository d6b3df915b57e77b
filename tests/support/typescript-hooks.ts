/** Loader hooks of run-typescript.ts; they run in a child's loader thread, as text, so they find packages by hand. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire, type LoadHook, type ResolveHook } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

type Swc = typeof import('@swc/core')

const swc = createRequire(join(process.cwd(), 'package.json'))('@swc/core') as Swc

export const resolve: ResolveHook = (specifier, context, next) => {
  if (/^\.{1,2}\/.*\.js$/.test(specifier)) {
    const source = new URL(specifier.replace(/\.js$/, '.ts'), context.parentURL)
    if (existsSync(source)) return { url: source.href, shortCircuit: true }
  }
  return next(specifier, context)
}

export const load: LoadHook = async (url, context, next) => {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context)
  const filename = fileURLToPath(url)
  const { code } = await swc.transform(await readFile(filename, 'utf8'), {
    filename,
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'es6' },
    sourceMaps: 'inline',
  })
  return { format: 'module', source: code, shortCircuit: true }
}
