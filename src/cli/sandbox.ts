import { type ClockMode, speedOf } from '../../sandbox/clock.js'
import type { SandboxCommandOptions } from '../../sandbox/command.js'

/** `siyu sandbox`: the local WeCom, until `stopped`. */
export async function runSandboxCommand(
  options: Omit<SandboxCommandOptions, 'write'>,
  stopped: AbortSignal,
): Promise<void> {
  const { sandboxCommand } = await import('../../sandbox/command.js')
  const sandbox = await sandboxCommand({ ...options, write: (line) => process.stdout.write(`${line}\n`) })
  try {
    if (!stopped.aborted) {
      await new Promise<void>((resolve) => stopped.addEventListener('abort', () => resolve(), { once: true }))
    }
  } finally {
    await sandbox.close()
  }
}

/** `real`, `step` or a speed like `60x`; `undefined` when it is none of them. */
export function parseClock(text: string): ClockMode | undefined {
  if (text === 'real' || text === 'step') return text
  const speed = speedOf(text)
  return speed === undefined ? undefined : `${speed}x`
}
