import { join } from 'node:path'
import { transformFileSync } from '@swc/core'

/**
 * Arguments that let `node` (started in the checkout) run a TypeScript file of ours, for tests that kill a process:
 * jest's own transform ends at the process boundary, and dist/ may be older than src/.
 */
export function runTypescriptArgs(file: string): string[] {
  const { code } = transformFileSync(join(import.meta.dirname, 'typescript-hooks.ts'), {
    jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    module: { type: 'es6' },
  })
  const hooks = JSON.stringify(toDataUrl(code))
  return ['--import', toDataUrl(`import { register } from 'node:module'; register(${hooks})`), file]
}

function toDataUrl(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`
}
