import { keyed, own } from '../../parse.js'
import type { TraitValue } from '../events/record.js'
import type { Profile } from './profile.js'
import { compareText } from './statement.js'

type Statement = { value: TraitValue | null; at: Date }

/**
 * Whether a source's statement stands against another one of its own: the later one does. At one instant it is what it says that
 * decides, never which came first: taking back before saying, then the greater text.
 */
export function outranks(x: Statement, y: Statement): boolean {
  const ms = x.at.getTime() - y.at.getTime()
  if (ms !== 0) return ms > 0
  if (x.value === null || y.value === null) return x.value === null && y.value !== null
  const order = compareText(String(x.value), String(y.value)) || compareText(typeof x.value, typeof y.value)
  return order > 0
}

/** Takes over what each source says where it outranks what is there. In any order, and however often, it comes to the same. */
export function addTraits(to: Profile['traits'], from: Profile['traits']): void {
  for (const [trait, bySource] of Object.entries(from)) {
    const mine = own(to, trait) ?? (to[trait] = keyed())
    for (const [source, said] of Object.entries(bySource)) {
      const standing = own(mine, source)
      if (standing === undefined || outranks(said, standing)) mine[source] = said
    }
  }
}
