import axios from 'axios'
import { messageOf, UpstreamError } from '../src/errors.js'
import type { Log } from '../src/log.js'
import { hashKey, intOf } from '../src/random.js'
import { SECOND_MS } from '../src/time.js'
import { encrypt, signatureOf } from './crypto.js'
import type { SandboxIdentity } from './identity.js'
import type { State } from './state.js'
import { toXml } from './xml.js'

/** Page 90930: the platform hangs up after 5 s and tries three times more. Its pauses are not documented; ours are short. */
const TIMEOUT_MS = 5 * SECOND_MS
const PAUSES_MS = [50, 200, 800]
/** Page 90930: the URL check must be answered within 1 s. */
const VERIFY_TIMEOUT_MS = SECOND_MS

type Waiting = { seq: number; at_ms: number; body: string }

/** Delivers the outbox to one receiver, in order. A body that was not acknowledged is sent again, byte for byte. */
export class CallbackSender {
  url: string | undefined
  private readonly stopping = new AbortController()

  constructor(
    private readonly state: State,
    private readonly seed: number,
    private readonly identity: SandboxIdentity,
    url: string | undefined,
    private readonly now: () => Date,
    private readonly log: Log,
  ) {
    this.url = url
  }

  /**
   * Sends all that waits, each after the acknowledgement of the one before.
   *
   * @param giveUp - true: a callback that failed four times is lost, as on the platform; false: it waits and the error is thrown
   * @throws {UpstreamError} when the receiver cannot be reached or does not answer 200
   */
  async deliver(giveUp: boolean): Promise<void> {
    for (;;) {
      const next = this.state.get<Waiting>(
        `SELECT seq, at_ms, body FROM outbox WHERE state = 'waiting' ORDER BY seq LIMIT 1`,
      )
      if (next === undefined) return
      const failure = await this.sendWithRetry(next)
      if (failure === undefined) {
        this.settle(next.seq, 'delivered')
      } else if (this.stopping.signal.aborted) {
        return // it waits for the next start
      } else if (giveUp) {
        this.settle(next.seq, 'lost')
        this.log.warn('callback lost', { seq: next.seq, url: this.url, reason: failure })
      } else {
        throw new UpstreamError(
          'callback receiver',
          'undelivered',
          true,
          `${this.url ?? 'no URL set'} did not acknowledge: ${failure}. Start the receiver and advance again`,
        )
      }
    }
  }

  /** The check that the platform makes when an administrator saves the URL (page 90930). @returns what is wrong, if anything. */
  async verify(): Promise<string | undefined> {
    if (this.url === undefined) return 'no callback URL is set'
    const echo = hashKey(20, this.seed, 'echo', this.now().getTime()).replace(/[a-f]/g, '7')
    const { query, encrypted } = this.sign(echo, `echo/${echo}`)
    try {
      const reply = await axios.get<string>(this.url, {
        params: { ...query, echostr: encrypted },
        timeout: VERIFY_TIMEOUT_MS,
        responseType: 'text',
        transformResponse: (text: string) => text,
        validateStatus: () => true,
        proxy: false,
      })
      if (reply.status !== 200) return `answered HTTP ${reply.status} instead of 200`
      return reply.data === echo ? undefined : 'did not answer with the decrypted echostr and nothing else'
    } catch (err) {
      return messageOf(err)
    }
  }

  /** Hangs up; what was not acknowledged keeps waiting. */
  stop(): void {
    this.stopping.abort()
  }

  private async sendWithRetry(waiting: Waiting): Promise<string | undefined> {
    let failure = await this.send(waiting)
    for (const pauseMs of PAUSES_MS) {
      if (failure === undefined || this.stopping.signal.aborted) return failure
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
      failure = await this.send(waiting)
    }
    return failure
  }

  private async send({ seq, at_ms, body }: Waiting): Promise<string | undefined> {
    if (this.url === undefined) return 'no callback URL is set'
    const { query, encrypted } = this.sign(body, `${seq}/${at_ms}`)
    const agentId = /<AgentID>(\d+)<\/AgentID>/.exec(body)?.[1] ?? ''
    const envelope = toXml({ ToUserName: this.identity.corpId, AgentID: agentId, Encrypt: encrypted })
    try {
      const reply = await axios.post<string>(this.url, envelope, {
        params: query,
        headers: { 'Content-Type': 'text/xml' },
        timeout: TIMEOUT_MS,
        signal: this.stopping.signal,
        responseType: 'text',
        validateStatus: () => true,
        proxy: false,
      })
      return reply.status === 200 ? undefined : `answered HTTP ${reply.status}`
    } catch (err) {
      return messageOf(err)
    }
  }

  /** Random bytes and nonce are hashes too: the same callback is the same request, whenever it is sent. */
  private sign(message: string, what: string): { query: Record<string, string>; encrypted: string } {
    const { callback } = this.identity.app
    const random = Buffer.from(hashKey(16, this.seed, 'random', what), 'ascii')
    const encrypted = encrypt(callback.encodingAesKey, message, this.identity.corpId, random)
    const timestamp = String(Math.floor(this.now().getTime() / SECOND_MS))
    const nonce = String(1_000_000_000 + intOf(900_000_000, this.seed, 'nonce', what))
    return {
      query: { msg_signature: signatureOf(callback.token, timestamp, nonce, encrypted), timestamp, nonce },
      encrypted,
    }
  }

  private settle(seq: number, outcome: 'delivered' | 'lost'): void {
    this.state.run('UPDATE outbox SET state = ? WHERE seq = ?', outcome, seq)
  }
}
