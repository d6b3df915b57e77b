import { sandboxCommand, type SandboxCommandOptions } from '../../sandbox/command.js'

/** `siyu sandbox`: the local WeCom, until `stopped`. */
export async function runSandboxCommand(
  options: Omit<SandboxCommandOptions, 'write'>,
  stopped: AbortSignal,
): Promise<void> {
  const sandbox = await sandboxCommand({ ...options, write: (line) => process.stdout.write(`${line}\n`) })
  try {
    if (!stopped.aborted) {
      await new Promise<void>((resolve) => stopped.addEventListener('abort', () => resolve(), { once: true }))
    }
  } finally {
    await sandbox.close()
  }
}
