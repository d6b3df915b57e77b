import { hashKey } from '../../random.js'

/** When something was said, and where it stands: the order in which statements count, whenever they arrive. */
export type Said = { at: Date; source: string; ref: string }

/** Earlier first. Two of one instant, source and place are the same statement, or say the same rank. */
export function compareSaid(x: Said, y: Said): number {
  return x.at.getTime() - y.at.getTime() || compareText(x.source, y.source) || compareText(x.ref, y.ref)
}

/** The order of code units: the same everywhere, whatever the language of the machine. */
export function compareText(x: string, y: string): number {
  return x < y ? -1 : x > y ? 1 : 0
}

/** An identifier, and the earliest record that is known by it, if any is. */
export type Spoken = { id: string; spoken?: Said }

/** Whoever spoke first is first; of those who spoke at once the one with the lower hash, and who never did comes last. */
export function compareSpoken(x: Spoken, y: Spoken): number {
  if (x.spoken === undefined || y.spoken === undefined) {
    if (x.spoken !== y.spoken) return x.spoken === undefined ? 1 : -1
  } else {
    const order = compareSaid(x.spoken, y.spoken)
    if (order !== 0) return order
  }
  return x.id === y.id ? 0 : compareText(hashOf(x), hashOf(y)) || compareText(x.id, y.id)
}

function hashOf({ id }: Spoken): string {
  return hashKey(16, 'anchor', id)
}
