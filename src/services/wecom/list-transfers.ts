import type { Transfer } from '../../stored/wecom.js'
import type { ServiceDeps } from '../runtime/deps.js'

export type TransferList = {
  groups: { from: string; to: string; state: Transfer['state']; customers: number; latestAt: Date }[]
  /** The latest ones. */
  failed: { externalUserId: string; from: string; to: string; reason: string }[]
}

const FAILED_SHOWN = 100

/** How transfers stand, by old and new owner. */
export async function listTransfers({ docs }: Pick<ServiceDeps, 'docs'>): Promise<TransferList> {
  const groups = new Map<string, TransferList['groups'][number]>()
  const failed: (TransferList['failed'][number] & { askedAt: Date })[] = []
  for await (const batch of docs.transfers.scan({})) {
    for (const { from, to = '?', state, at, askedAt, externalUserId, reason = '' } of batch) {
      const key = JSON.stringify([from, to, state])
      const latestAt = at ?? askedAt
      const group = groups.get(key) ?? { from, to, state, customers: 0, latestAt }
      groups.set(key, {
        ...group,
        customers: group.customers + 1,
        latestAt: latestAt > group.latestAt ? latestAt : group.latestAt,
      })
      if (state === 'failed') failed.push({ externalUserId, from, to, reason, askedAt })
    }
  }
  const latest = failed.sort((a, b) => b.askedAt.getTime() - a.askedAt.getTime()).slice(0, FAILED_SHOWN)
  return {
    groups: [...groups.values()].sort(
      (a, b) => b.latestAt.getTime() - a.latestAt.getTime() || (a.from < b.from ? -1 : 1),
    ),
    failed: latest.map(({ askedAt: _askedAt, ...row }) => row),
  }
}
