import { AppError, ConflictError, UpstreamError } from '../../errors.js'

/**
 * Whether the reason may lie in what is worked on: one thing among many, beside which the others can go on. Not of stores and
 * platforms that do not answer, nor where somebody else has gone on, or wants the work to end.
 */
export function isOfItem(err: unknown): boolean {
  if (err instanceof ConflictError || (err instanceof AppError && err.retryable)) return false
  if (err instanceof UpstreamError && err.about === 'system') return false
  return !(err instanceof Error && err.name === 'AbortError')
}

/** The same of one that is worked on by itself: it is done or set aside. @throws what does not lie in it */
export function alone<T>(
  item: T,
  work: (item: T) => Promise<void>,
  setAside: (item: T, err: unknown) => Promise<void>,
): Promise<void> {
  return eachAlone([item], () => work(item), setAside)
}

/**
 * Works on all items together. Where that fails for a reason that may lie in one of them, on ever fewer, until those that
 * fail stand alone: they are set aside, and the others are done. So an item may be worked on several times. What an outside
 * system refuses of one item alone is told of the item only where the system says that it is about that.
 *
 * @throws what lies in no item; then some may be done
 */
export async function eachAlone<T>(
  items: readonly T[],
  work: (items: readonly T[]) => Promise<void>,
  setAside: (item: T, err: unknown) => Promise<void>,
): Promise<void> {
  if (items.length === 0) return
  try {
    return await work(items)
  } catch (err) {
    if (!isOfItem(err)) throw err
    const [only, second] = items
    if (second === undefined) {
      if (err instanceof UpstreamError && err.about !== 'input') throw err
      return setAside(only!, err)
    }
  }
  const middle = Math.ceil(items.length / 2)
  await eachAlone(items.slice(0, middle), work, setAside)
  await eachAlone(items.slice(middle), work, setAside)
}
