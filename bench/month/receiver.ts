import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'
import { type CallbackReader, openCallback } from '../../src/adapters/wecom/callback.js'
import { parseInput } from '../../src/parse.js'
import { answerParent, costs } from './child.js'

/** The app's callback address: verifies, decrypts and parses everything with the product's own reader, and counts. */

const Question = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('start'), token: z.string(), encodingAesKey: z.string(), corpId: z.string() }),
  z.strictObject({ do: z.literal('added') }),
  z.strictObject({ do: z.literal('report') }),
])

let reader: CallbackReader | undefined
/** [member, customer] of the add events since they were last asked for. */
let added: [string, string][] = []
const counts = { callbacks: 0, refused: 0 }

const server = createServer((req, res) => {
  readBody(req).then(
    (body) => {
      try {
        const url = new URL(req.url ?? '/', 'http://receiver')
        const { content } = reader!.read(Object.fromEntries(url.searchParams), body)
        counts.callbacks++
        if (content['ChangeType'] === 'add_external_contact')
          added.push([String(content['UserID']), String(content['ExternalUserID'])])
        res.end()
      } catch {
        counts.refused++ // reported, and the sandbox is not told to try again
        res.statusCode = 403
        res.end()
      }
    },
    () => res.destroy(),
  )
})

async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

async function answer(message: unknown): Promise<unknown> {
  const question = parseInput(Question, message)
  if (question.do === 'report') return { ...counts, ...costs() }
  if (question.do === 'added') {
    const since = added.sort(([, a], [, b]) => (a < b ? -1 : 1))
    added = []
    return since
  }
  const { token, encodingAesKey, corpId } = question
  reader = openCallback({ token, encodingAesKey, corpId })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback` }
}

answerParent(
  answer,
  () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
)
