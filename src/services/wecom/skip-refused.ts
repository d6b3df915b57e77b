import { UpstreamError } from '../../errors.js'
import { inParallel } from '../runtime/in-parallel.js'
import type { Deps } from '../runtime/deps.js'

/**
 * Works through members side by side. One whom the platform will not speak of (she has left since) is left out with a word
 * in the log; when it speaks of nobody, that is the fault of all.
 *
 * @throws what the platform said, when it was refused for every one, or not reached
 */
export async function eachUnlessRefused(
  { log }: Pick<Deps, 'log'>,
  userIds: readonly string[],
  atOnce: number,
  work: (userId: string) => Promise<void>,
): Promise<void> {
  const refusals: UpstreamError[] = []
  await inParallel(userIds, atOnce, async (userId) => {
    try {
      await work(userId)
    } catch (err) {
      if (!(err instanceof UpstreamError) || err.retryable) throw err
      refusals.push(err)
      log.warn('member left out, WeCom refuses to speak of her', { userId, cause: err.message })
    }
  })
  if (refusals.length > 0 && refusals.length === userIds.length) throw refusals[0]!
}
