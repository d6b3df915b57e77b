import { AppError, ConflictError, UpstreamError } from '../../errors.js'
import { isOfItem } from '../runtime/each-alone.js'

/** Profile ids from `from` up to, not including, `to`. */
export type Range = { from: number; to: number }

/** Something that cannot be worked out for a profile is noted, and the others go on. @throws when that is so of too many */
export type SetAside = (profileId: number, err: unknown) => Promise<void>

/**
 * Works on a range of profiles. Where that fails, on ever smaller ones, until those who make it fail stand alone: they are set
 * aside, and the others are done. What fails with nobody in the range lies in nobody, nor does what an engine fails with that
 * says nothing of its input (its memory, say): a smaller range may help, a single profile is not blamed.
 *
 * @throws what lies in no profile; then some may be done
 */
export async function rangeAlone(
  range: Range,
  work: (range: Range) => Promise<void>,
  setAside: SetAside,
): Promise<void> {
  const { from, to } = range
  try {
    return await work(range)
  } catch (err) {
    if (!mayStay(err)) throw err
    if (to - from <= 1) {
      if (!isOfItem(err)) throw err
      await work({ from, to: from })
      return setAside(from, err)
    }
  }
  const middle = from + Math.ceil((to - from) / 2)
  await rangeAlone({ from, to: middle }, work, setAside)
  await rangeAlone({ from: middle, to }, work, setAside)
}

/** Whether trying the same again may fail in the same way for ever. Not where somebody else has gone on, or nobody answers. */
export function mayStay(err: unknown): boolean {
  if (err instanceof ConflictError || (err instanceof AppError && err.retryable)) return false
  return isOfItem(err) || err instanceof UpstreamError
}
