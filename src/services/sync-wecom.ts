import { SourceRecord } from '../domain/events/record.js'
import { ConfigError, type Problem, UpstreamError } from '../errors.js'
import { parseInput } from '../parse.js'
import { hashKey } from '../random.js'
import { acceptRecords } from './accept-records.js'
import type { ServiceDeps } from './lanes.js'

/**
 * Pulls every contact of every member. Batches are keyed by their content, so a sync that was broken off and started
 * again takes nothing twice.
 *
 * @returns how many contacts were read
 * @throws {ConfigError} naming the setting, when the platform refuses who we say we are
 */
export async function syncWecom(deps: ServiceDeps, onProgress?: (contacts: number) => void): Promise<number> {
  let contacts = 0
  for await (const batch of readContacts(deps)) {
    const records = batch.map((r) => parseInput(SourceRecord, r, 'WeCom contact'))
    const content = records.map((r) => ({ ...r, observedAt: undefined }))
    await acceptRecords(deps, `wecom-sync:${hashKey(32, JSON.stringify(content))}`, records)
    contacts += records.length
    onProgress?.(contacts)
  }
  return contacts
}

async function* readContacts({ wecom }: ServiceDeps): ReturnType<ServiceDeps['wecom']['contacts']> {
  try {
    yield* wecom.contacts()
  } catch (err) {
    const setting = err instanceof UpstreamError ? SETTINGS[err.upstreamCode] : undefined
    if (setting === undefined) throw err
    throw new ConfigError('企业微信拒绝了身份 · WeCom refuses the credentials', [setting], { cause: err })
  }
}

/** @see 全局错误码, developer.work.weixin.qq.com/document/path/90313 (read 2026-08) */
const SETTINGS: Readonly<Record<string, Problem>> = {
  40001: {
    path: 'wecom.secret',
    message: 'Secret 错误或已被重置 · is wrong, or was reset (errcode 40001)',
    hint: '管理后台 → 应用管理 → 该应用 → Secret，重新复制 copy it anew from there',
  },
  40091: {
    path: 'wecom.secret',
    message: 'Secret 属于别的企业 · belongs to another company (errcode 40091)',
    hint: '管理后台 → 应用管理 → 该应用 → Secret，重新复制 copy it anew from there',
  },
  40013: {
    path: 'wecom.corpId',
    message: '企业 ID 不对 · is no corp id (errcode 40013)',
    hint: '对照 我的企业 → 企业信息 → 企业ID compare it with that page',
  },
  40056: {
    path: 'wecom.agentId',
    message: 'AgentId 不对 · is no agent of this company (errcode 40056)',
    hint: '对照 应用管理 → 该应用 → AgentId compare it with that page',
  },
}
