import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { z } from 'zod'
import { said } from '../said.js'
import type { Config } from '../config.js'
import { lockDataDir } from './data-dir.js'
import { ConfigError, ConflictError, InvalidInputError, messageOf, NotFoundError, type Problem } from '../errors.js'
import { openApiKeys } from '../http/api-key.js'
import { parseInput } from '../parse.js'
import { SECOND_MS } from '../time.js'

const ServiceFile = z.object({ url: z.url(), pid: z.int(), key: z.string().optional() })
const TIMEOUT_MS = 40 * SECOND_MS
/** A long answer gives a sign of life every 10 s. */
const SILENCE_MS = 60 * SECOND_MS

/** A service that runs on the data directory, and the key to it. */
export type RunningService = { url: string; key: string }

/**
 * Tells commands where the service is that holds the data directory, and what lets them in; only this user can read it. Resolves
 * to what takes it back.
 */
export async function announceService(dataDir: string, url: string, key?: string): Promise<() => Promise<void>> {
  const file = join(dataDir, 'service.json')
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const reachable = url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')
  await writeFile(file, `${JSON.stringify({ url: reachable, pid: process.pid, key })}\n`, { mode: 0o600 })
  return () => rm(file, { force: true })
}

/** One process holds the data directory, so commands go through it. */
export function isEmbedded({ documents, events }: Config): boolean {
  return documents.kind === 'sqlite' || events.kind === 'chdb'
}

/**
 * No other process can reach the documents, in which all work, its leases and its claims are told. An embedded event store beside
 * shared documents keeps nobody out.
 */
export function isAlone({ documents }: Pick<Config, 'documents'>): boolean {
  return documents.kind === 'sqlite'
}

/** The service that holds this configuration's embedded stores now; `undefined` when none does. */
export async function findService(config: Config): Promise<RunningService | undefined> {
  if (!isEmbedded(config)) return undefined
  const text = await readFile(join(config.dataDir, 'service.json'), 'utf8').catch((err: NodeJS.ErrnoException) => {
    if (err.code === 'ENOENT') return undefined
    throw err
  })
  if (text === undefined || !(await isHeld(config.dataDir))) return undefined
  const { url, key } = parseInput(
    ServiceFile,
    JSON.parse(text),
    `${join(config.dataDir, 'service.json')} cannot be read`,
  )
  return { url, key: key ?? (await openApiKeys(config.http.apiKeys, config.dataDir)).apiKeys[0]! } // there is one
}

/** The file of a service that was killed stays behind: only the lock tells whether it lives. */
async function isHeld(dataDir: string): Promise<boolean> {
  try {
    await (await lockDataDir(dataDir)).release()
    return false
  } catch (err) {
    if (err instanceof ConflictError) return true
    throw err
  }
}

/**
 * One `POST` to the running service; `onProgress` hears of the pieces of a long answer.
 *
 * @throws what the service answered, as the error it was there
 */
export async function callService(
  { url, key }: RunningService,
  path: string,
  body: object,
  options: { onProgress?: (done: number) => void; signal?: AbortSignal } = {},
): Promise<unknown> {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), TIMEOUT_MS)
  const signal = options.signal === undefined ? silence.signal : AbortSignal.any([silence.signal, options.signal])
  try {
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Api-Key': key },
      body: JSON.stringify(body),
      signal,
    })
    if (response.headers.get('content-type')?.startsWith('application/x-ndjson') !== true) {
      const answer: unknown = await response.json()
      if (!response.ok) throw errorOf(answer)
      return answer
    }
    const stream = Readable.fromWeb(response.body as ReadableStream)
    for await (const line of createInterface({ input: stream })) {
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), SILENCE_MS)
      const piece = parseInput(Piece, JSON.parse(line), said('服务的应答看不懂', 'The service answered something else'))
      if (piece.error !== undefined) throw errorOf(piece)
      if (piece.done !== undefined) options.onProgress?.(piece.done)
      if ('result' in piece) return piece.result
    }
    throw new ConflictError(
      said(`${url} 的服务在完成前停止了 → 重试`, `the service at ${url} stopped before it was done → try again`),
    )
  } catch (err) {
    if (!(err instanceof TypeError) && !silence.signal.aborted) throw err
    throw new ConflictError(
      said(
        `${url} 的服务没有应答（${messageOf(err)}）→ 看它的日志，或重启它`,
        `the service at ${url} does not answer (${messageOf(err)}) → look at its log, or restart it`,
      ),
      {},
      { cause: err },
    )
  } finally {
    clearTimeout(timer)
  }
}

const ProblemBody: z.ZodType<Problem> = z.object({
  file: z.string().optional(),
  line: z.number().optional(),
  path: z.string(),
  message: z.string(),
  hint: z.string().optional(),
})
const ErrorBody = z.object({
  error: z.object({ code: z.string(), message: z.string(), problems: z.array(ProblemBody).optional() }),
})
const Piece = z.object({
  done: z.number().optional(),
  result: z.unknown().optional(),
  error: ErrorBody.shape.error.optional(),
})

function errorOf(answer: unknown): Error {
  const {
    code,
    message,
    problems = [],
  } = parseInput(ErrorBody, answer, said('服务的应答看不懂', 'The service answered something else')).error
  if (code === 'invalid_input') return new InvalidInputError(message, problems)
  if (code === 'not_found') return new NotFoundError(message)
  if (code === 'bad_config') return new ConfigError(message.split('\n')[0]!, problems)
  return new ConflictError(message)
}
