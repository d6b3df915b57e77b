import { fork } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { messageOf } from '../../src/errors.js'
import { parseInput } from '../../src/parse.js'

/** A process that answers one question at a time. */
export interface Child {
  /** @throws {Error} when the child fails or answers something else */
  ask<S extends z.ZodType>(question: Record<string, unknown>, answer: S): Promise<z.infer<S>>
  /** Waits for its end. */
  stop(): Promise<void>
}

const Said = z.union([z.strictObject({ answer: z.unknown() }), z.strictObject({ error: z.string() })])

/** @param name - a module of this folder that calls `answerParent` @param execArgv - for a profiler, e.g. */
export function startChild(name: string, execArgv: readonly string[] = []): Child {
  const file = fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url))
  const child = fork(file, [], { execArgv: [...process.execArgv, ...execArgv] })
  const gone = once(child, 'exit')
  return {
    async ask(question, answer) {
      const reply = once(child, 'message') as Promise<unknown[]>
      child.send(question)
      const first = await Promise.race([reply, gone])
      if (child.exitCode !== null) throw new Error(`the ${name} process ended with ${child.exitCode}`)
      const said = parseInput(Said, first[0], `the ${name} process`)
      if ('error' in said) throw new Error(`${name}: ${said.error}`)
      return parseInput(answer, said.answer, `the ${name} process`)
    },
    async stop() {
      if (child.connected) child.disconnect()
      await gone
    },
  }
}

/** The child's side: answers question after question until the parent hangs up. */
export function answerParent(answer: (question: unknown) => Promise<unknown>, close: () => Promise<void>): void {
  process.on('message', (question) => {
    answer(question).then(
      (reply) => process.send!({ answer: reply }),
      (err: unknown) => process.send!({ error: messageOf(err) }),
    )
  })
  process.on('disconnect', () => {
    close().then(
      () => process.exit(0),
      () => process.exit(1),
    )
  })
}

/** User and system time of this process so far, all threads, and what it holds. */
export function costs(): { cpuMs: number; rssMiB: number } {
  const { user, system } = process.cpuUsage()
  return { cpuMs: (user + system) / 1_000, rssMiB: Math.round(process.memoryUsage.rss() / 2 ** 20) }
}

export const Costs = z.strictObject({ cpuMs: z.number(), rssMiB: z.number() })
