import { z } from 'zod'
import type { App } from '../../identity.js'
import type { World } from '../../world/world.js'
import { parseRequest } from './numbers.js'

/** The platform says no. The texts are those seen on the real one where they are known; nobody should match on them. */
export class Refusal extends Error {
  constructor(
    readonly errcode: number,
    text: string,
  ) {
    super(text)
  }
}

export type Call = {
  /** Query and JSON body together. */
  params: Record<string, unknown>
  /** The body as it came, for uploads. */
  raw: Buffer
  contentType: string
  /** Whose token it is; for endpoints without a token the first app. */
  app: App
  /** Where the call comes from. */
  ip: string
  now: Date
  /** Milliseconds of the sandbox's clock per real one: durations told to clients (`expires_in`) are divided by it. */
  speed: number
}
export type Binary = { fileName: string; content: Buffer }
export type Reply = Record<string, unknown> | Binary

export type Endpoint = {
  /** Runs in one transaction, so a refusal leaves nothing half done. */
  writes?: boolean
  /** False: called without a token. */
  token?: boolean
  /** The contact-sync secret may call it. */
  forContactSync?: boolean
  /** Only the contact-sync secret may call it. */
  onlyContactSync?: boolean
  /** Outside the basic frequency limits (page 90312). */
  unlimited?: boolean
  /** List fields that error bodies still carry, empty. */
  empty?: Record<string, unknown>
  handle(call: Call): Reply
}
export type Endpoints = Record<string, Endpoint>

/** Another platform behind the same port (WeChat Pay, official account): reads and answers requests in its own way. */
export type Neighbour = {
  /** Some paths are the same on both: then the token says whose they are. */
  matches(path: string, query: URLSearchParams): boolean
  answer(request: NeighbourRequest): { status: number; headers: Record<string, string>; body: Buffer }
}
export type NeighbourRequest = {
  method: string
  path: string
  query: URLSearchParams
  /** Path and query as they came: signatures cover them. */
  url: string
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
  now: Date
  /** As in `Call`. */
  speed: number
}

/** Reads parameters, numbers also from their texts; what does not fit is 40058, as on the platform. */
export function read<S extends z.ZodType>(schema: S, params: Record<string, unknown>): z.infer<S> {
  const result = parseRequest(schema, params)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  throw new Refusal(40058, `${issue.path.map(String).join('.')} ${issue.message}. invalid Request Parameter`)
}

/** Empty texts count as absent: clients send `"cursor": ""`, `"toparty": ""`. */
export const OptionalText = z
  .string()
  .nullish()
  .transform((text) => (text === null || text === '' ? undefined : text))

/** Text in UTF-8 bytes, as the platform counts. */
export function checkBytes(field: string, text: string, max: number): void {
  if (Buffer.byteLength(text, 'utf8') > max)
    throw new Refusal(40058, `${field} exceed max length ${max}. invalid Request Parameter`)
}

export function checkUrl(field: string, url: string, max = 2048): void {
  checkBytes(field, url, max)
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) throw new Refusal(45034, `${field} url without scheme`)
}

/** Opaque and repeatable: holds the key of the last row given out. */
export function toCursor(...key: (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

/** @throws {Refusal} 50100 when we did not make it. */
export function fromCursor<S extends z.ZodType>(cursor: string | undefined, key: S): z.infer<S> | undefined {
  if (cursor === undefined) return undefined
  let data: unknown
  try {
    data = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    data = undefined // refused below like any other key that is not ours
  }
  const result = key.safeParse(data)
  if (!result.success) throw new Refusal(50100, 'invalid cursor')
  return result.data
}

/** The member's id as the company spells it. @throws {Refusal} */
export function memberId(world: World, userId: string | undefined): string {
  if (userId === undefined) throw new Refusal(41009, 'missing userid')
  const member = world.member(userId)
  if (member === undefined) throw new Refusal(60111, `invalid string value \`${userId}\`. userid not found`)
  return member.userId
}
