import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { z } from 'zod'
import { type CallbackReader, openCallback } from '../../src/adapters/wecom/transport/callback.js'
import { parseInput } from '../../src/parse.js'
import { answerParent, costs } from './child.js'

/** The app's callback address: verifies, decrypts and parses everything with the product's own reader, and counts. */

const Question = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('start'), token: z.string(), encodingAesKey: z.string(), corpId: z.string() }),
  z.strictObject({ do: z.literal('added'), untilS: z.int() }),
  z.strictObject({ do: z.literal('report') }),
])

let reader: CallbackReader | undefined
/** Add events that were not asked for yet. */
let added: { userId: string; externalUserId: string; atS: number }[] = []
const counts = { callbacks: 0, refused: 0 }

const server = createServer((req, res) => {
  readBody(req).then(
    (body) => {
      try {
        const url = new URL(req.url ?? '/', 'http://receiver')
        const { content } = reader!.read(Object.fromEntries(url.searchParams), body)
        counts.callbacks++
        if (content['ChangeType'] === 'add_external_contact') {
          const [userId, externalUserId] = [String(content['UserID']), String(content['ExternalUserID'])]
          added.push({ userId, externalUserId, atS: Number(content['CreateTime']) })
        }
        inOneWrite(req.socket)
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

function readBody(req: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => resolve((chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString('utf8')))
    req.on('error', reject)
  })
}

/** What a connection is answered in one turn of the event loop leaves together. */
function inOneWrite(socket: Socket): void {
  if (socket.writableCorked > 0) return
  socket.cork()
  setImmediate(() => socket.uncork())
}

async function answer(message: unknown): Promise<unknown> {
  const question = parseInput(Question, message)
  if (question.do === 'report') return { ...counts, ...costs() }
  if (question.do === 'added') {
    const { untilS } = question
    const due = added.filter(({ atS }) => atS <= untilS).map((add) => [add.userId, add.externalUserId] as const)
    added = added.filter(({ atS }) => atS > untilS)
    return due.sort((a, b) => (a.join('/') < b.join('/') ? -1 : 1))
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
