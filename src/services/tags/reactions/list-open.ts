import type { Deps } from '../../runtime/deps.js'

/** What one reaction failed to do, for one reason. `since`: the instant of the earliest changes, ISO 8601. */
export type OpenReactions = { reaction: string; error: string; changes: number; attempts: number; since: string }

const SHOWN_MAX = 20

/** What reactions failed to do and are told again, the most changes first, 20 at most; `open`: how many changes in all. */
export async function listOpenReactions({
  docs,
}: Pick<Deps, 'docs'>): Promise<{ open: number; groups: OpenReactions[] }> {
  const groups = new Map<string, OpenReactions>()
  let open = 0
  for await (const batch of docs.openReactions.scan({}, 50, { skipUnfit: true })) {
    for (const { reaction, error, changes, attempts, now } of batch) {
      const key = JSON.stringify([reaction, error])
      const since = now.toISOString()
      const group = groups.get(key) ?? { reaction, error, changes: 0, attempts: 0, since }
      groups.set(key, {
        ...group,
        changes: group.changes + changes.length,
        attempts: Math.max(group.attempts, attempts),
        since: since < group.since ? since : group.since,
      })
      open += changes.length
    }
  }
  const order = [...groups.values()].sort((a, b) => b.changes - a.changes || (a.since < b.since ? -1 : 1))
  return { open, groups: order.slice(0, SHOWN_MAX) }
}
