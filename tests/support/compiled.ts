import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

/**
 * Where `node` finds a TypeScript file of ours (path from the root of the checkout) as it was compiled before the run, for
 * tests that start processes.
 */
export function compiled(file: string): string {
  const root = process.env.SIYU_COMPILED
  if (root === undefined)
    throw new Error('nothing was compiled: tests/runner/compile.js is the globalSetup of jest.config.js')
  return join(root, file.replace(/\.ts$/, '.js'))
}

/** Runs it in a process of its own, which reads nothing. */
export function spawnCompiled(file: string, args: readonly string[]): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [compiled(file), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
}
