import { ConflictError } from '../../errors.js'
import type { Deps } from '../runtime/deps.js'

/** One code per touch: the one it has already, or the lowest free one of the pool. */
export async function takeCode(
  deps: Pick<Deps, 'docs'>,
  pool: string,
  touchId: string,
  now: Date,
): Promise<string | undefined> {
  const { coupons } = deps.docs
  const mine = await coupons.findOne({ touchId })
  if (mine !== undefined) return mine.code
  try {
    const taken = await coupons.findOneAndUpdate(
      { pool, state: 'free' },
      { $set: { state: 'issued', touchId, issuedAt: now } },
      { sort: { _id: 1 } },
    )
    return taken?.code
  } catch (err) {
    // Somebody else has taken one for this touch just now.
    if (!(err instanceof ConflictError)) throw err
    return (await coupons.findOne({ touchId }))?.code
  }
}
