import { z } from 'zod'
import { Refusal } from '../core/endpoint.js'
import { parseRequest } from '../core/numbers.js'

export type Call = {
  params: Record<string, unknown>
  /** The appid whose token it is; empty where there is none. */
  appId: string
  now: Date
  speed: number
}
export type Reply = Record<string, unknown>
export type Route = {
  /** False: called with appid and secret. */
  token?: false
  /** Which account may call it. */
  only?: 'officialAccount' | 'miniProgram'
  /** In a window of so many milliseconds, per account and, with `per`, per what it says. */
  limit?: {
    calls: number
    windowMs: number
    errcode: 45009 | 45011
    per?: (params: Record<string, unknown>) => string
    /** Name of a count that several calls share. */
    shared?: string
  }
  handle(call: Call): Reply
}
export type Routes = Record<string, Route>

export const OFFICIAL_ACCOUNT = { only: 'officialAccount' } as const
export const MINI_PROGRAM = { only: 'miniProgram' } as const
export const OK = { errcode: 0, errmsg: 'ok' }

/** Reads parameters, numbers also from their texts. */
export function parse<S extends z.ZodType>(schema: S, params: Record<string, unknown>): z.infer<S> {
  const result = parseRequest(schema, params)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  throw new Refusal(47003, `argument invalid! ${issue.path.map(String).join('.')} ${issue.message}`)
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
