import { Agent, request } from 'node:http'
import { encrypt, getSignature } from '@wecom/crypto'
import { z } from 'zod'
import { parseInput } from '../../src/parse.js'
import { elapsedMs } from '../../src/time.js'
import { quantilesOf } from '../measure.js'
import { answerParent, costs } from '../month/child.js'
import type { Acknowledged } from './acknowledged.js'

/** The platform's side at full speed: deliveries are encrypted beforehand, then sent at a fixed rate over kept connections. */

const Prepare = z.strictObject({
  prepare: z.array(z.string()),
  url: z.string(),
  corpId: z.string(),
  token: z.string(),
  encodingAesKey: z.string(),
})
const Send = z.strictObject({
  /** Deliveries a second. */
  send: z.number().positive(),
  /** Of those prepared. */
  from: z.int(),
  to: z.int(),
})
const Question = z.union([Prepare, Send])

const TICK_MS = 2
/** Many: a slow answer must not keep the next delivery from being sent when it is due. */
const SOCKETS = 512
const TIMEOUT_MS = 5_000

let deliveries: { path: string; body: Buffer }[] = []
let url = new URL('http://127.0.0.1')
const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS })

answerParent(
  async (question) => {
    const asked = parseInput(Question, question)
    return 'prepare' in asked ? prepare(asked) : send(asked)
  },
  () => Promise.resolve(agent.destroy()),
)

function prepare({ prepare: messages, corpId, token, encodingAesKey, ...to }: z.infer<typeof Prepare>) {
  url = new URL(to.url)
  deliveries = messages.map((message, i) => {
    const encrypted = encrypt(encodingAesKey, message, corpId)
    const [timestamp, nonce] = ['1785718800', String(i)]
    const signature = getSignature(token, timestamp, nonce, encrypted)
    const body = `<xml><ToUserName><![CDATA[${corpId}]]></ToUserName><Encrypt><![CDATA[${encrypted}]]></Encrypt></xml>`
    return {
      path: `${url.pathname}?msg_signature=${signature}&timestamp=${timestamp}&nonce=${nonce}`,
      body: Buffer.from(body),
    }
  })
  return { prepared: deliveries.length }
}

/** Latency counts from the instant at which a delivery was due, so that a stall is not hidden by sending less. */
async function send({ send: rate, from, to }: z.infer<typeof Send>): Promise<Acknowledged> {
  const before = costs()
  const startMs = elapsedMs()
  const latencies: number[] = []
  const failed: number[] = []
  await new Promise<void>((resolve) => {
    let next = from
    let open = 0
    const timer = setInterval(() => {
      const due = Math.min(to, from + Math.floor(((elapsedMs() - startMs) * rate) / 1_000))
      for (; next < due; next++) {
        const i = next
        const dueMs = startMs + ((i - from) * 1_000) / rate
        open++
        deliver(i).then(
          (ok) => {
            latencies.push(elapsedMs() - dueMs)
            if (!ok) failed.push(i)
            if (--open === 0 && next === to) resolve()
          },
          () => {
            failed.push(i)
            if (--open === 0 && next === to) resolve()
          },
        )
      }
      if (next === to) clearInterval(timer)
    }, TICK_MS)
  })
  const at = quantilesOf(latencies)
  const after = costs()
  return {
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    tookMs: elapsedMs() - startMs,
    failed,
    cpuMs: after.cpuMs - before.cpuMs,
    rssMiB: after.rssMiB,
  }
}

function deliver(i: number): Promise<boolean> {
  const { path, body } = deliveries[i]!
  return new Promise((resolve, reject) => {
    const req = request(
      {
        agent,
        host: url.hostname,
        port: url.port,
        path,
        method: 'POST',
        headers: { 'Content-Type': 'text/xml', 'Content-Length': body.length },
        timeout: TIMEOUT_MS,
      },
      (res) => {
        res.resume()
        res.once('end', () => resolve(res.statusCode === 200))
        res.once('error', reject)
      },
    )
    req.once('timeout', () => req.destroy(new Error('no answer within 5 s')))
    req.once('error', reject)
    req.end(body)
  })
}
