import { timingSafeEqual } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { z } from 'zod'
import { said } from '../said.js'
import type { Config } from '../config.js'
import { holderOf } from './data-dir.js'
import { ConfigError, ConflictError, InvalidInputError, messageOf, NotFoundError, type Problem } from '../errors.js'
import { proofOf, PROOF_PATH } from '../http/local-key.js'
import { parseInput } from '../parse.js'
import { secretHex } from '../random.js'
import { SECOND_MS } from '../time.js'

const ServiceFile = z.object({ url: z.url(), pid: z.int(), timeOrigin: z.number(), key: z.string() })
const TIMEOUT_MS = 40 * SECOND_MS
/** A long answer gives a sign of life every 10 s. */
const SILENCE_MS = 60 * SECOND_MS

/** A service that runs on the data directory, and the key to it. */
export type RunningService = { url: string; key: string }

/**
 * Tells commands where the service is that holds the data directory, and what lets them in; only this user can read it. Resolves
 * to what takes it back.
 *
 * @param localKey - which the service at `url` has
 */
export async function announceService(dataDir: string, url: string, localKey: string): Promise<() => Promise<void>> {
  const file = serviceFile(dataDir)
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const reachable = url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')
  const announced = { url: reachable, pid: process.pid, timeOrigin: performance.timeOrigin, key: localKey }
  // Renamed into its place: whoever reads it reads all of it.
  const draft = `${file}-${secretHex(4)}`
  await writeFile(draft, `${JSON.stringify(announced)}\n`, { mode: 0o600 })
  await rename(draft, file)
  return () => rm(file, { force: true })
}

function serviceFile(dataDir: string): string {
  return join(dataDir, 'service.json')
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

/**
 * The service that holds this configuration's embedded stores now; `undefined` when none does. What a killed service has left
 * behind is of no account, and whoever answers in its place is sent no key.
 *
 * @throws {ConflictError} when somebody else answers at its address, or nobody
 */
export async function findService(config: Config): Promise<RunningService | undefined> {
  if (!isEmbedded(config)) return undefined
  const { dataDir } = config
  const file = serviceFile(dataDir)
  const text = await readFile(file, 'utf8').catch((err: NodeJS.ErrnoException) => {
    if (err.code === 'ENOENT') return undefined
    throw err
  })
  const holder = text === undefined ? undefined : await holderOf(dataDir)
  if (text === undefined || holder === undefined) return undefined
  const announced = ServiceFile.safeParse(readJson(text)).data
  // The process that holds the stores is another one, which serves nobody (yet).
  if (announced?.pid !== holder.pid || announced.timeOrigin !== holder.timeOrigin) return undefined
  const { url, key } = announced
  await requireProof(url, key, file)
  return { url, key }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // what was torn by a power cut is nobody's
  }
}

/** Of the answer to a challenge: 64 hex digits. */
const PROOF_CHARS = 64

async function requireProof(url: string, key: string, file: string): Promise<void> {
  const challenge = secretHex(32)
  let given: Buffer
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const response = await fetch(`${url}${PROOF_PATH}?challenge=${challenge}`, { redirect: 'error', signal })
    given = await firstBytes(response, PROOF_CHARS + 1)
  } catch (err) {
    throw notAnswering(url, err)
  }
  const expected = Buffer.from(proofOf(key, challenge))
  if (given.length === expected.length && timingSafeEqual(given, expected)) return
  throw new ConflictError(
    said(
      `${url} 上应答的不是 ${file} 里的服务，密钥没有发给它 → 看看是什么占着这个端口，再重启 siyu serve`,
      `what answers at ${url} is not the service of ${file}, and was sent no key → see what has that port, then restart siyu serve`,
    ),
  )
}

/** Whoever answers may send without end. */
async function firstBytes(response: Response, most: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk as Uint8Array)
    size += (chunk as Uint8Array).length
    if (size >= most) break
  }
  return Buffer.concat(chunks).subarray(0, most)
}

function notAnswering(url: string, err: unknown): ConflictError {
  return new ConflictError(
    said(
      `${url} 的服务没有应答（${messageOf(err)}）→ 看它的日志，或重启它`,
      `the service at ${url} does not answer (${messageOf(err)}) → look at its log, or restart it`,
    ),
    {},
    { cause: err },
  )
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
      redirect: 'error',
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
    throw notAnswering(url, err)
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
