import { own } from '../../parse.js'
import type { TraitValue } from '../events/record.js'
import type { Rule } from './graph.js'
import { typeName } from './profile.js'
import { evidencePairs } from './resolve.js'

/** People where nothing is refused or doubtful, and what is said of them now. */
type Known = { places: readonly { id: string }[]; agreed: ReadonlyMap<string, TraitValue> }
type Said = { keys: readonly string[]; traits: Readonly<Record<string, TraitValue | null>> }

/**
 * Whether `findPersons` would find one person in all of it, whatever the order in which it was said and whatever part of it
 * comes first. It is one if the whole breaks no rule, since then no part does:
 *
 * - no type has more values than it may;
 * - values of one strong type are known to hang together by strong identifiers alone. Those of one person do, or she would not
 *   be plain; of others it is told by the records at hand. Where they do not tell, the answer is no, though it might be yes;
 * - nobody says of a trait that must agree what another did not, or takes it back.
 *
 * @param people - all that the records touch, which hang together by them
 */
export function isPlainUnion(
  rules: ReadonlyMap<string, Rule>,
  agree: readonly string[],
  people: readonly Known[],
  records: readonly Said[],
): boolean {
  if (agree.some((trait) => isInDoubt(trait, people, records))) return false
  const ids = new Set<string>()
  for (const { places } of people) for (const { id } of places) ids.add(id)
  const known = ids.size
  for (const { keys } of records) for (const key of keys) ids.add(key)
  if (people.length === 1 && ids.size === known) return true

  const byType = new Map<string, string[]>()
  for (const id of ids) {
    const type = typeName(id)
    const same = byType.get(type)
    if (same === undefined) byType.set(type, [id])
    else same.push(id)
  }
  const isStrong = (id: string) => rules.get(typeName(id))?.isStrong === true
  let sets: Sets | undefined
  for (const [type, same] of byType) {
    const rule = rules.get(type)
    if (rule === undefined || same.length > rule.max) return false
    if (!rule.isStrong || same.length === 1) continue
    if (sets === undefined) {
      sets = new Sets()
      for (const person of people) sets.joinSameTypes(person.places.flatMap(({ id }) => (isStrong(id) ? id : [])))
      for (const { keys } of records)
        for (const [a, b] of evidencePairs(keys)) if (isStrong(a) && isStrong(b)) sets.join(a, b)
    }
    if (new Set(same.map((id) => sets!.rootOf(id))).size > 1) return false
  }
  return true
}

function isInDoubt(trait: string, people: readonly Known[], records: readonly Said[]): boolean {
  let standing: TraitValue | undefined
  for (const value of [...people.map((p) => p.agreed.get(trait)), ...records.map((r) => own(r.traits, trait))]) {
    if (value === undefined) continue
    if (value === null || (standing !== undefined && standing !== value)) return true
    standing = value
  }
  return false
}

class Sets {
  private readonly parents = new Map<string, string>()

  joinSameTypes(ids: readonly string[]): void {
    const first = new Map<string, string>()
    for (const id of ids) {
      const same = first.get(typeName(id))
      if (same === undefined) first.set(typeName(id), id)
      else this.join(id, same)
    }
  }

  join(x: string, y: string): void {
    this.parents.set(this.rootOf(x), this.rootOf(y))
  }

  rootOf(id: string): string {
    let root = id
    for (let up = this.parents.get(root); up !== undefined && up !== root; up = this.parents.get(root)) root = up
    return root
  }
}
