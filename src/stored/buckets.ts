import type { Shard } from '../ports/job-queue.js'
import { intOf } from '../random.js'

/** Work is stored in this many parts, which never change; a shard is a range of them. */
export const BUCKETS = 64

/** The bucket of a profile, or of a member who sends. */
export function bucketOf(id: number | string): number {
  return intOf(BUCKETS, 'bucket', id)
}

/** The documents of one shard, by their `bucket`. Of one shard that is all, and no bucket is looked at. */
export function inShard({ index, of }: Shard): { bucket?: { $in: number[] } } {
  if (of === 1) return {}
  const from = Math.floor((index * BUCKETS) / of)
  const to = Math.floor(((index + 1) * BUCKETS) / of)
  return { bucket: { $in: Array.from({ length: to - from }, (_, i) => from + i) } }
}
