import { z } from 'zod'
import { parseInput } from '../src/parse.js'
import { type ChdbHttp, startChdbHttp } from '../tests/support/chdb-http.js'
import { answerParent, costs } from './month/child.js'

/** chDB behind HTTP in a process of its own, for services that share it: asked for its address, then for its costs. */
const Question = z.union([z.strictObject({ path: z.string() }), z.strictObject({ costs: z.literal(true) })])

let front: ChdbHttp | undefined

answerParent(
  async (question) => {
    const asked = parseInput(Question, question)
    if ('costs' in asked) return costs()
    front = await startChdbHttp(asked.path)
    return { url: front.url }
  },
  async () => front?.close(),
)
