import type { Rule } from '../../domain/rules/rule.js'
import type { Deps } from '../runtime/deps.js'
import { findMatching } from './find-matching.js'

export type SegmentRow = { id: string; rule: Rule; people: number }

/** Every segment with how many people are in it now. */
export async function listSegments(deps: Deps): Promise<SegmentRow[]> {
  const rows: SegmentRow[] = []
  for (const [id, rule] of deps.definitions.current.segments) {
    const found = await findMatching(deps, { of: { segment: id }, limit: 0 })
    rows.push({ id, rule, people: found.result === 'known' ? found.people : 0 })
  }
  return rows
}
