/**
 * Works items off, at most `limit` at a time, in the order in which they come. After a failure nothing new is begun, and
 * what runs is waited for.
 *
 * @throws the first failure
 */
export async function inParallel<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>()
  const failures: unknown[] = []
  for await (const item of items) {
    const run: Promise<void> = work(item)
      .catch((err: unknown) => void failures.push(err))
      .finally(() => running.delete(run))
    running.add(run)
    if (running.size >= limit) await Promise.race(running)
    if (failures.length > 0) break
  }
  await Promise.all(running)
  if (failures.length > 0) throw failures[0]
}
