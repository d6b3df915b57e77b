import { SourceRecord } from '../domain/events/record.js'
import { parseInput } from '../parse.js'
import { hashKey } from '../random.js'
import { acceptRecords } from './accept-records.js'
import type { ServiceDeps } from './lanes.js'

/**
 * Pulls every contact of every member. Batches are keyed by their content, so a sync that was broken off and started
 * again takes nothing twice.
 *
 * @returns how many contacts were read
 */
export async function syncWecom(deps: ServiceDeps, onProgress?: (contacts: number) => void): Promise<number> {
  let contacts = 0
  for await (const batch of deps.wecom.contacts()) {
    const records = batch.map((r) => parseInput(SourceRecord, r, 'WeCom contact'))
    const content = records.map((r) => ({ ...r, observedAt: undefined }))
    await acceptRecords(deps, `wecom-sync:${hashKey(32, JSON.stringify(content))}`, records)
    contacts += records.length
    onProgress?.(contacts)
  }
  return contacts
}
