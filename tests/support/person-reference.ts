import type { Decision, PeopleRules } from '../../src/domain/identity/graph.js'
import type { Statement } from '../../src/domain/identity/people.js'

type Ids = Set<string>

/**
 * Who is one person by docs/adr/0012, as plainly as it can be written: everything at once, nothing remembered, no code shared
 * with what it is compared with.
 *
 * @returns `anchor: id id id` of each person, sorted
 */
export function referencePersons(
  config: PeopleRules,
  statements: readonly Statement[],
  decisions: readonly Decision[],
): string[] {
  const typeOf = (id: string) => id.split(':')[0]!
  const ruleOf = (id: string) => config.identifiers.find((r) => r.type === typeOf(id))!
  const rankOf = (id: string) => config.identifiers.indexOf(ruleOf(id))
  const isStrong = (id: string) => ruleOf(id).strength === 'strong'
  const orderOf = ({ said }: { said: Statement['said'] }) =>
    `${String(said.at.getTime()).padStart(16, '0')}\n${said.source}\n${said.ref}`

  const ids = [...new Set(statements.flatMap((s) => s.keys))]
  const pairs = new Map<string, { a: string; b: string; order: string }>()
  for (const s of statements) {
    for (const [i, x] of s.keys.slice(0, 3).entries()) {
      for (const y of s.keys.slice(i + 1)) {
        const [a, b] = [x, y].sort() as [string, string]
        const order = orderOf(s)
        const known = pairs.get(`${a} ${b}`)
        if (known === undefined || order < known.order) pairs.set(`${a} ${b}`, { a, b, order })
      }
    }
  }
  const links = [...pairs.values()]
  const neighbours = (id: string) => links.flatMap((l) => (l.a === id ? [l.b] : l.b === id ? [l.a] : []))

  const latest = [...decisions].sort((x, y) =>
    orderOf(x) + JSON.stringify(x) < orderOf(y) + JSON.stringify(y) ? 1 : -1,
  )
  // Of one instant, source and place the lower text is first, as everywhere.
  latest.sort((x, y) => (orderOf(x) === orderOf(y) ? (JSON.stringify(x) < JSON.stringify(y) ? -1 : 1) : 0))
  const nobodys = new Set<string>()
  for (const id of ids) {
    const mark = latest.find((d) => 'id' in d && d.id === id)?.kind
    const isOverused = config.identifiers.some(
      ({ type, max }) => neighbours(id).filter((n) => typeOf(n) === type).length > Math.max(config.sharedAfter, max),
    )
    if (mark === 'share' || (mark === undefined && isOverused)) nobodys.add(id)
  }

  let clusters: Ids[] = ids.filter((id) => !nobodys.has(id)).map((id) => new Set([id]))
  const clusterOf = (id: string) => clusters.find((c) => c.has(id))
  const join = (x: Ids, y: Ids) => {
    clusters = [...clusters.filter((c) => c !== x && c !== y), new Set([...x, ...y])]
  }
  const apart: [string, string][] = []
  const parts = (x: Ids, y: Ids) => apart.some(([a, b]) => (x.has(a) && y.has(b)) || (x.has(b) && y.has(a)))
  const given = new Set<string>()
  for (const [n, d] of latest.entries()) {
    if (d.kind === 'share' || d.kind === 'free') continue
    if (d.kind === 'give' && latest.slice(0, n).some((e) => 'id' in e && e.id === d.id)) continue
    const [a, b] = d.kind === 'give' ? [d.id, d.to] : [d.a, d.b]
    const [x, y] = [clusterOf(a), clusterOf(b)]
    if (x === undefined || y === undefined) continue
    if (d.kind === 'split') {
      if (x !== y) apart.push([a, b])
    } else if (x === y || !parts(x, y)) {
      if (x !== y) join(x, y)
      for (const id of [a, b]) if (!isStrong(id)) given.add(id)
    }
  }

  const valid = links.filter(({ a, b }) => ![a, b].some((id) => nobodys.has(id) || given.has(id)))
  const count = (x: Ids, type: string) => [...x].filter((id) => typeOf(id) === type).length
  const isTooMany = (x: Ids, y: Ids) =>
    config.identifiers.some(({ type, max }) => {
      const [n, m] = [count(x, type), count(y, type)]
      return n > 0 && m > 0 && n + m > max
    })
  const worst = (l: { a: string; b: string }) => Math.max(rankOf(l.a), rankOf(l.b))
  const byOrder = (x: { order: string; a: string; b: string }, y: { order: string; a: string; b: string }) =>
    `${x.order}\n${x.a}\n${x.b}` < `${y.order}\n${y.a}\n${y.b}` ? -1 : 1
  for (const { a, b } of valid
    .filter((l) => isStrong(l.a) && isStrong(l.b))
    .sort((x, y) => worst(x) - worst(y) || byOrder(x, y))) {
    const [x, y] = [clusterOf(a)!, clusterOf(b)!]
    if (x !== y && !parts(x, y) && !isTooMany(x, y)) join(x, y)
  }

  const cores = clusters.map((c) => new Set(c))
  const standing = (core: Ids, trait: string) => {
    const sources = new Map<string, { at: number; text: string; value: unknown }>()
    for (const { said, keys, traits } of statements) {
      if (!core.has(keys[0]!) || !Object.hasOwn(traits, trait)) continue
      const value = traits[trait]
      const mine = {
        at: said.at.getTime(),
        text: value === null ? '\uffff' : `${String(value)}\n${typeof value}`,
        value,
      }
      const best = sources.get(said.source)
      if (best === undefined || mine.at > best.at || (mine.at === best.at && mine.text > best.text))
        sources.set(said.source, mine)
    }
    return [...sources].filter(([, s]) => s.value !== null).map(([source, s]) => ({ source, ...s }))
  }
  const coresOf = (c: Ids) => cores.filter((core) => [...core].every((id) => c.has(id)))
  const counts = (core: Ids, trait: string) =>
    standing(core, trait).sort((x, y) => y.at - x.at || (x.source < y.source ? -1 : 1))[0]?.value
  const agreed = (c: Ids, trait: string) => coresOf(c).flatMap((core) => counts(core, trait) ?? [])
  const confirms = (x: Ids, y: Ids) =>
    config.confirm.some((trait) => {
      const said = (c: Ids) => coresOf(c).flatMap((core) => standing(core, trait).map((s) => s.value))
      return said(x).some((value) => said(y).includes(value))
    })
  const isContradiction = (x: Ids, y: Ids) =>
    config.agree.some((trait) => agreed(x, trait).some((v) => agreed(y, trait).some((w) => v !== w))) ||
    (config.identifiers.some((r) => r.strength === 'strong' && count(x, r.type) > 0 && count(y, r.type) > 0) &&
      !confirms(x, y))
  const stops = (x: Ids, y: Ids) => parts(x, y) || isTooMany(x, y) || isContradiction(x, y)

  const firstOf = (id: string) =>
    [
      ...valid.filter((l) => l.a === id || l.b === id).map((l) => l.order),
      ...statements.filter((s) => s.keys[0] === id).map(orderOf),
    ].sort()[0] ?? '\uffff'
  const weak = ids
    .filter((id) => !isStrong(id) && !nobodys.has(id) && !given.has(id))
    .sort((x, y) => rankOf(x) - rankOf(y) || (`${firstOf(x)}\n${x}` < `${firstOf(y)}\n${y}` ? -1 : 1))
  for (const [n, id] of weak.entries()) {
    const later = weak.slice(n + 1)
    const others = valid
      .filter((l) => l.a === id || l.b === id)
      .sort(byOrder)
      .map((l) => (l.a === id ? l.b : l.a))
      .filter((o) => !later.includes(o) && !nobodys.has(o))
    const claimants = [...new Set(others.map((o) => clusterOf(o)!))]
    let all = new Set(clusterOf(id))
    const isContradicted = claimants.some((c) => {
      const stop = stops(all, c)
      all = new Set([...all, ...c])
      return stop
    })
    if (!isContradicted) {
      for (const c of claimants) join(clusterOf(id)!, c)
      continue
    }
    nobodys.add(id)
    clusters = clusters.filter((c) => !c.has(id))
    for (const [i, p] of claimants.entries()) {
      for (const q of claimants.slice(i + 1)) {
        const [x, y] = [clusterOf([...p][0]!)!, clusterOf([...q][0]!)!]
        if (x !== y && confirms(x, y) && !stops(x, y)) join(x, y)
      }
    }
  }
  return clusters
    .flatMap((c) => {
      const spoken = statements.filter((s) => c.has(s.keys[0]!)).map((s) => ({ order: orderOf(s), id: s.keys[0]! }))
      if (spoken.length === 0) return []
      const first = spoken.map((s) => s.order).sort()[0]!
      return [{ ids: [...c].sort(), first: [...new Set(spoken.filter((s) => s.order === first).map((s) => s.id))] }]
    })
    .map(({ ids: mine, first }) => `${first.length === 1 ? first[0]! : 'tie'}: ${mine.join(' ')}`)
    .sort()
}
