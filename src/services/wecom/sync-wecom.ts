import { said } from '../../said.js'
import { ConfigError, type Problem, UpstreamError } from '../../errors.js'
import type { SyncChunk } from '../../stored/wecom.js'
import { inParallel } from '../runtime/in-parallel.js'
import type { ServiceDeps } from '../runtime/deps.js'
import { mirrorGroups, mirrorMembers, mirrorTags } from './mirror-company.js'
import { mirrorRelations } from './mirror-relations.js'
import { reconcileMember } from './reconcile-wecom.js'

export type SyncResult = {
  members: number
  /** Follow relations that were read. */
  relations: number
  /** Of those, new or changed ones. */
  changed: number
  /** Relations that the platform shows no more. */
  ended: number
  groups: number
  tags: number
}

/** Pages asked for at the same time: more than the platform works on at a time, so that it is never idle. */
const READERS = 16
/** The last chunks run with fewer and fewer others beside them: small ones keep that short. */
const CHUNKS_PER_READER = 8
const MAX_CHUNK_MEMBERS = 10
const STANDING = 'wecom-sync'

/**
 * A full sync: members, departments, tags, every follow relation, groups. What differs from the mirror is handed to the
 * inbox, the rest costs a comparison. One that was broken off goes on where it was: members are read in chunks, whose
 * cursors move once their page is in the mirror. Memory does not grow with the number of contacts.
 *
 * @param onProgress - hears how many relations were read
 * @throws {ConfigError} naming the setting, when the platform refuses who we say we are
 */
export async function syncWecom(deps: ServiceDeps, onProgress?: (relations: number) => void): Promise<SyncResult> {
  try {
    return await sync(deps, onProgress ?? (() => undefined))
  } catch (err) {
    const setting = err instanceof UpstreamError ? SETTINGS[err.upstreamCode] : undefined
    if (setting === undefined) throw err
    throw new ConfigError(said('企业微信拒绝了身份', 'WeCom refuses the credentials'), [setting], { cause: err })
  }
}

async function sync(deps: ServiceDeps, onProgress: (relations: number) => void): Promise<SyncResult> {
  const { docs } = deps
  const members = await mirrorMembers(deps)
  const n = await beginOrResume(deps, members)
  const cause = `sync:${n}`
  const tags = await mirrorTags(deps, cause)
  const result: SyncResult = { members: members.length, relations: 0, changed: 0, ended: 0, groups: 0, tags }
  for (const chunk of await docs.wecomSyncChunks.find({ sync: n })) result.relations += chunk.relations
  onProgress(result.relations)
  const readRelations = async () => {
    await inParallel(await docs.wecomSyncChunks.find({ sync: n, state: 'waiting' }), READERS, async (chunk) => {
      for await (const { relations, changed } of readChunk(deps, chunk, cause)) {
        result.relations += relations
        result.changed += changed
        onProgress(result.relations)
      }
    })
    await inParallel(members, READERS, async (userId) => {
      const { ended, added } = await reconcileMember(deps, userId, cause)
      result.ended += ended
      result.changed += added
    })
  }
  const readGroups = async () => {
    result.groups = await mirrorGroups(deps, cause)
  }
  // The platform limits each call for itself, so neither need wait for the other.
  await inParallel([readRelations, readGroups], 2, (read) => read())
  await docs.meta.updateEach([{ id: STANDING, update: { $set: { flag: false, at: deps.clock.now() } } }])
  await docs.wecomSyncChunks.delete({ sync: n })
  return result
}

/** The number of the sync that was broken off, or of a new one with its chunks written down. */
async function beginOrResume({ docs }: ServiceDeps, members: readonly string[]): Promise<number> {
  const standing = await docs.meta.get(STANDING)
  if (standing?.flag === true && standing.value !== undefined) return standing.value
  const sync = (standing?.value ?? 0) + 1
  const size = Math.min(MAX_CHUNK_MEMBERS, Math.max(1, Math.floor(members.length / (READERS * CHUNKS_PER_READER))))
  const chunks: SyncChunk[] = []
  for (let i = 0; i < members.length; i += size) {
    const _id = `${sync}/${String(chunks.length).padStart(6, '0')}`
    chunks.push({ _id, sync, state: 'waiting', userIds: members.slice(i, i + size), relations: 0 })
  }
  await docs.wecomSyncChunks.put(chunks)
  await docs.meta.updateEach([{ id: STANDING, update: { $set: { value: sync, flag: true } }, upsert: true }])
  return sync
}

/** Reads a chunk from where it stands; its place is saved after each page. An expired cursor begins it anew. */
async function* readChunk(
  deps: ServiceDeps,
  chunk: SyncChunk,
  cause: string,
): AsyncIterable<{ relations: number; changed: number }> {
  const { wecomSyncChunks } = deps.docs
  let { cursor, relations } = chunk
  for (;;) {
    const readAt = deps.clock.now()
    const page = await deps.wecom.relationPage(chunk.userIds, cursor)
    if (page === 'expired') {
      yield { relations: -relations, changed: 0 }
      await wecomSyncChunks.update(chunk._id, { $set: { relations: 0 }, $unset: { cursor: 1 } })
      relations = 0
      cursor = undefined
      continue
    }
    const changed = await mirrorRelations(deps, { relations: page.relations, readAt, cause })
    relations += page.relations.length
    const place: Partial<SyncChunk> =
      page.next === undefined ? { state: 'done', relations } : { cursor: page.next, relations }
    await wecomSyncChunks.update(chunk._id, { $set: place })
    cursor = page.next
    yield { relations: page.relations.length, changed }
    if (cursor === undefined) return
  }
}

/** @see 全局错误码, developer.work.weixin.qq.com/document/path/90313 (read 2026-08) */
const SETTINGS: Readonly<Record<string, Problem>> = {
  40001: {
    path: 'wecom.secret',
    message: said('Secret 错误或已被重置（errcode 40001）', 'the secret is wrong, or was reset (errcode 40001)'),
    hint: said('管理后台 → 应用管理 → 该应用 → Secret，重新复制', 'copy it anew: 应用管理 → the app → Secret'),
  },
  40091: {
    path: 'wecom.secret',
    message: said('Secret 属于别的企业（errcode 40091）', 'the secret belongs to another company (errcode 40091)'),
    hint: said('管理后台 → 应用管理 → 该应用 → Secret，重新复制', 'copy it anew: 应用管理 → the app → Secret'),
  },
  40013: {
    path: 'wecom.corpId',
    message: said('企业 ID 不对（errcode 40013）', 'it is no corp id (errcode 40013)'),
    hint: said('对照 我的企业 → 企业信息 → 企业ID', 'compare it with 我的企业 → 企业信息 → 企业ID'),
  },
  40056: {
    path: 'wecom.agentId',
    message: said('AgentId 不对（errcode 40056）', 'it is no agent of this company (errcode 40056)'),
    hint: said('对照 应用管理 → 该应用 → AgentId', 'compare it with 应用管理 → the app → AgentId'),
  },
}
