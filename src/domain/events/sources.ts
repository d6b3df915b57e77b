import type { Problem } from '../../errors.js'
import { said } from '../../said.js'

/**
 * Sources under which this service itself writes. Event ids, traits and evidence are told apart by their source, so nobody
 * else may use these: a sender's `wecom:…` would be taken for what WeCom is yet to tell.
 */
export const OWN_SOURCES = ['siyu', 'wecom', 'wechaty'] as const
export type OwnSource = (typeof OWN_SOURCES)[number]

export function isOwnSource(source: string): source is OwnSource {
  return (OWN_SOURCES as readonly string[]).includes(source)
}

/** What is wrong with a source that somebody else gives, if anything. */
export function findReservedSource(path: string, source: string): Problem | undefined {
  if (!isOwnSource(source)) return undefined
  return {
    path,
    message: said(`"${source}" 是 siyu 自己用的来源`, `"${source}" is a source that only siyu itself writes under`),
    hint: said(`换个名字，如 my-${source}`, `give it another name, e.g. my-${source}`),
  }
}
