#!/usr/bin/env node
import { asTyped, callOf } from './cli/as-typed.js'
import { guardOutput } from './cli/guard-output.js'
import { createProgram } from './cli/program.js'
import { AppError, messageOf } from './errors.js'
import { forTerminal } from './escape.js'
import { inLines, said, typeCommands } from './said.js'

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

// Whoever reads our output may have seen enough of it (`siyu why 42 | head`).
process.stdout.on('error', (err: NodeJS.ErrnoException) => {
  if (err.code !== 'EPIPE') throw err
  process.exit()
})

const program = createProgram({ env: process.env, signal: stop.signal })
typeCommands(
  asTyped(
    callOf(process.argv[1], process.env),
    program.commands.map((command) => command.name()),
  ),
)
guardOutput(process.stdout)

try {
  await program.parseAsync()
} catch (err) {
  const interrupted = stop.signal.aborted && err instanceof Error && err.name === 'AbortError'
  const text = interrupted
    ? said('已中断，可以重新执行', 'interrupted; it can be run again')
    : err instanceof AppError
      ? err.message
      : err instanceof Error
        ? (err.stack ?? err.message)
        : messageOf(err)
  process.stderr.write(`${forTerminal(inLines(text))}\n`)
  process.exitCode = interrupted ? 130 : 1
}
