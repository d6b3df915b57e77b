import { messageOf, UpstreamError } from '../../errors.js'
import { inParallel } from '../runtime/in-parallel.js'
import type { Deps } from '../runtime/deps.js'
import { isOfItem } from '../runtime/each-alone.js'

/**
 * Works through members side by side. One whom the platform will not speak of (she has left since) is left out with a word
 * in the log, as is one with whom something fails; when nothing comes of anybody, that is the fault of all.
 *
 * @throws what the platform said, when it was refused for every one, or not reached
 */
export async function eachUnlessRefused(
  { log }: Pick<Deps, 'log'>,
  userIds: readonly string[],
  atOnce: number,
  work: (userId: string) => Promise<void>,
): Promise<void> {
  const refusals: unknown[] = []
  await inParallel(userIds, atOnce, async (userId) => {
    try {
      await work(userId)
    } catch (err) {
      const isRefused = err instanceof UpstreamError && !err.retryable
      if (!isRefused && !isOfItem(err)) throw err
      refusals.push(err)
      if (isRefused) log.warn('member left out, WeCom refuses to speak of her', { userId, cause: err.message })
      else log.error('member left out, something fails with her', { userId, cause: messageOf(err) })
    }
  })
  if (refusals.length > 0 && refusals.length === userIds.length) throw refusals[0]
}
