#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8'
import { asTyped, callOf } from './cli/as-typed.js'
import { guardOutput } from './cli/guard-output.js'
import type { CommandContext } from './cli/options.js'
import { createProgram } from './cli/program.js'
import { tellFailure } from './cli/tell-failure.js'
import { forTerminal } from './escape.js'
import { typeCommands } from './said.js'

// What runs often is compiled after fifteen times as much of it as by default: much of our code runs for seconds, and compiling
// it costs more than it would ever give back. What runs for hours is compiled all the same.
setFlagsFromString('--interrupt-budget=1000000')

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

// Whoever reads our output may have seen enough of it (`siyu why 42 | head`).
process.stdout.on('error', (err: NodeJS.ErrnoException) => {
  if (err.code !== 'EPIPE') throw err
  process.exit()
})

const context: CommandContext = { env: process.env, signal: stop.signal }
const program = createProgram(context)
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
  const { text, exitCode } = await tellFailure(err, context)
  process.stderr.write(`${forTerminal(text)}\n`)
  process.exitCode = exitCode
}
