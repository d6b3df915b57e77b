import { instantsOf } from '../../domain/tags/instants.js'
import { literals } from '../../domain/rules/sql.js'
import { EVALUATIONS, nextValue } from '../../stored/runtime.js'
import { tagPath } from '../../stored/tags.js'
import { DAY_MS } from '../../time.js'
import type { Deps } from '../runtime/deps.js'

const DONE = 'instants'
/** A number of days is below this, an instant of ours above it. */
const LEAST_INSTANT = 100_000_000

/**
 * Version 0.1 stored how many days something was ago. Until everybody is evaluated anew, an instant that gave the same number
 * when it was stored stands for it: less than a day off. Run when stores are opened; an interrupted run is repeated.
 */
export async function storeInstants({ docs, events, definitions }: Deps): Promise<void> {
  if ((await docs.meta.get(DONE)) !== undefined) return
  const tagIds = [...instantsOf(definitions.current.tags).keys()]
  if (tagIds.length > 0) {
    const seq = await nextValue(docs.meta, EVALUATIONS)
    await events.command(`INSERT INTO tag_changes (tag_id, profile_id, changed_at, old_value, new_value, cause, version)
      SELECT tag_id, profile_id, since, value, toString(toUnixTimestamp64Milli(since) - toInt64OrZero(value) * ${DAY_MS}), 'operator', ${seq}
      FROM tag_state FINAL WHERE tag_id IN (${literals(tagIds)}) AND value != '' AND toInt64OrZero(value) < ${LEAST_INSTANT}`)
    for await (const batch of docs.profileTags.scan({}))
      await docs.profileTags.updateEach(
        batch.flatMap(({ _id: id, tags }) => {
          const held = tagIds.flatMap((tagId) => {
            const value = tags[tagId]
            if (value === undefined || Number(value.v) >= LEAST_INSTANT) return []
            const instant = String(value.since.getTime() - Number(value.v) * DAY_MS)
            return [[tagPath(tagId), { ...value, v: instant }] as const]
          })
          return held.length === 0 ? [] : [{ id, update: { $set: Object.fromEntries(held) } }]
        }),
      )
  }
  await docs.meta.updateEach([{ id: DONE, update: { $set: { flag: true } }, upsert: true }])
}
