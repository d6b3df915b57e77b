export type Pairwise = {
  /** Pairs of records that belong to one person by the truth. */
  truePairs: number
  /** Pairs of records that stand on one profile. */
  foundPairs: number
  /** Pairs that are both. */
  correctPairs: number
  /** correct / found, 0–1; `null` when no pair was found. */
  precision: number | null
  /** correct / true, 0–1; `null` when the truth holds no pair. */
  recall: number | null
}

/**
 * Pairwise precision and recall of found clusters against the known truth, over the records the truth names. A record
 * that is in no cluster stands alone; a clustered record the truth does not name cannot be judged and is left out.
 * Counts through the contingency table, so the cost is linear in the records.
 *
 * @see Menestrina, Whang, Garcia-Molina, "Evaluating Entity Resolution Results", VLDB 2010, pairwise F1
 */
export function computePairwise(
  clusters: ReadonlyMap<string, string | number>,
  truth: ReadonlyMap<string, string>,
): Pairwise {
  const persons = new Map<string, number>()
  const found = new Map<string | number, number>()
  const cells = new Map<string, Map<string | number, number>>()
  for (const [recordId, person] of truth) {
    bump(persons, person)
    const cluster = clusters.get(recordId)
    if (cluster === undefined) continue
    bump(found, cluster)
    const row = cells.get(person) ?? new Map<string | number, number>()
    cells.set(person, row)
    bump(row, cluster)
  }
  const truePairs = countPairs(persons.values())
  const foundPairs = countPairs(found.values())
  let correctPairs = 0
  for (const row of cells.values()) correctPairs += countPairs(row.values())
  return {
    truePairs,
    foundPairs,
    correctPairs,
    precision: foundPairs === 0 ? null : correctPairs / foundPairs,
    recall: truePairs === 0 ? null : correctPairs / truePairs,
  }
}

function bump<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function countPairs(sizes: Iterable<number>): number {
  let pairs = 0
  for (const size of sizes) pairs += (size * (size - 1)) / 2
  return pairs
}
