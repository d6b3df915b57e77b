import type { Tag } from '../tags/definition.js'
import { tagReads } from '../tags/definition.js'
import {
  type Aggregate,
  type Bounds,
  collectReads,
  type Comparators,
  emptyReads,
  type EventClause,
  type Reads,
  type Rule,
  STAGE_TAG,
} from './rule.js'
import { literal, literals } from './sql.js'

/**
 * Something with a value per profile that is kept and compared: a tag, or a rule under an id (a journey's entry).
 * Values are text: '' absent, '1' a flag that is set, otherwise the choice, number or text itself.
 */
export type Evaluable = { id: string; tag: Tag } | { id: string; rule: Rule }

/** Whom to look at. Merged profiles' events count for their survivor. */
export type Scope =
  | { kind: 'all'; fromProfileId?: number; toProfileId?: number }
  /** `aliases` are the ids of profiles that were merged into this one. */
  | { kind: 'profiles'; profiles: readonly { profileId: number; aliases: readonly number[] }[] }

export type CompileOptions = {
  nowMs: number
  scope: Scope
  /** Rules behind `{segment: id}`. */
  segments: ReadonlyMap<string, Rule>
}

const DAY_MS = 86_400_000

/** Every event, trait, identifier and tag an evaluable looks at, segments followed. */
export function readsOf(evaluable: Evaluable, segments: ReadonlyMap<string, Rule>): Reads {
  const reads = 'tag' in evaluable ? tagReads(evaluable.tag) : collectReads(evaluable.rule, emptyReads())
  for (const segment of reads.segments) {
    const rule = segments.get(segment)
    if (rule !== undefined) collectReads(rule, reads) // a Set grows while it is walked, so nested segments are followed too
  }
  return reads
}

/**
 * SELECT of what changed: columns `p` (profile id), `id`, `old`, `new`; one row per difference from the stored state,
 * ordered by p, id. Everything is decided in one pass over the events of the scope: equal aggregates share a column.
 */
export function compileDeltas(evaluables: readonly Evaluable[], options: CompileOptions): string {
  const columns = new Columns(evaluables, options)
  const pairs = evaluables.map((e) => `(${literal(e.id)}, ${columns.valueOf(e)})`)
  return `SELECT p, tupleElement(o, 1) AS id, st[tupleElement(o, 1)] AS old, tupleElement(o, 2) AS new
FROM (
  SELECT p, st, arrayJoin(arrayFilter(x -> x.2 != st[x.1], [${pairs.join(',\n    ')}])) AS o
  FROM ${columns.from()}
)
ORDER BY p, id
SETTINGS enable_analyzer = 0${options.scope.kind === 'profiles' ? ', max_threads = 1' : ''}`
}

/** SELECT of `p`, and per rule of `rules` a column `r0`, `r1` … (0 or 1), ordered by p. */
export function compileTests(rules: readonly Rule[], options: CompileOptions): string {
  const columns = new Columns([], options)
  const tests = rules.map((rule, i) => `toUInt8(${columns.test(rule)}) AS r${i}`)
  return `SELECT p, ${tests.join(', ')} FROM ${columns.from()} ORDER BY p SETTINGS enable_analyzer = 0, max_threads = 1`
}

/** A rule with, per clause, whether it held and the figure behind it. */
export type Explanation = { clause: string; holds: boolean; figure?: string; parts?: Explanation[] }

/** SELECT of one row: `h` (0/1 per node) and `f` (text figure per node), nodes in pre-order; read it with `toExplanation`. */
export function compileExplain(rule: Rule, options: CompileOptions): string {
  const columns = new Columns([], options)
  const nodes = flatten(rule)
  const holds = nodes.map((n) => `toUInt8(${columns.test(n)})`)
  const figures = nodes.map((n) => columns.figure(n))
  return `SELECT [${holds.join(', ')}] AS h, [${figures.join(', ')}] AS f FROM ${columns.from()} SETTINGS enable_analyzer = 0, max_threads = 1`
}

export function toExplanation(rule: Rule, holds: readonly number[], figures: readonly string[]): Explanation {
  let next = 0
  const walk = (r: Rule): Explanation => {
    const at = next++
    const base = { clause: describeRule(r), holds: holds[at] === 1 }
    const parts = childrenOf(r).map(walk)
    if (parts.length > 0) return { ...base, parts }
    return { ...base, figure: figures[at] ?? '' }
  }
  return walk(rule)
}

function childrenOf(rule: Rule): Rule[] {
  if ('all' in rule) return rule.all
  if ('any' in rule) return rule.any
  if ('not' in rule) return [rule.not]
  return []
}

function flatten(rule: Rule): Rule[] {
  return [rule, ...childrenOf(rule).flatMap(flatten)]
}

/** One clause in the words of the rule file. */
export function describeRule(rule: Rule): string {
  if ('all' in rule) return 'all'
  if ('any' in rule) return 'any'
  if ('not' in rule) return 'not'
  const parts = Object.entries(rule).map(([key, value]) => {
    if (key === 'within') return `within ${describeMs(value as number)}`
    if (key === 'between') return `between ${(value as number[]).map(describeMs).join(' and ')} ago`
    return `${key} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`
  })
  return parts.join(', ')
}

function describeMs(ms: number): string {
  if (ms % DAY_MS === 0) return `${ms / DAY_MS}d`
  return ms % 3_600_000 === 0 ? `${ms / 3_600_000}h` : `${ms / 1000}s`
}

type Windowed = Pick<EventClause, 'event' | 'where' | 'within' | 'between'>

/** Collects the aggregate columns that expressions need while the expressions are built. */
class Columns {
  private readonly aggregates = new Map<string, string>()
  private readonly events = new Set<string>()
  private readonly storedTags = new Set<string>()
  private readonly inPass: ReadonlyMap<string, Evaluable>
  private readonly resolving = new Set<string>()
  private needsProperties = false

  constructor(
    evaluables: readonly Evaluable[],
    private readonly options: CompileOptions,
  ) {
    this.inPass = new Map(evaluables.map((e) => [e.id, e]))
    for (const e of evaluables) this.storedTags.add(e.id)
  }

  valueOf(e: Evaluable): string {
    if (this.resolving.has(e.id))
      throw new RangeError(`tags read each other in a circle: ${[...this.resolving, e.id].join(' → ')}`)
    this.resolving.add(e.id)
    const value = this.buildValue(e)
    this.resolving.delete(e.id)
    return value
  }

  private buildValue(e: Evaluable): string {
    if ('rule' in e) return `if(${this.test(e.rule)}, '1', '')`
    const { tag } = e
    switch (tag.type) {
      case 'flag':
        return `if(${this.test(tag.when)}, '1', '')`
      case 'choice':
        return `multiIf(${tag.cases.map((c) => `${this.test(c.when)}, ${literal(c.value)}`).join(', ')}, '')`
      case 'text':
        return `traits[${literal(tag.trait)}]`
      case 'number':
        return tag.score === undefined ? this.aggregateText(tag.value!) : this.scoreText(tag.score)
    }
  }

  private aggregateText(a: Aggregate): string {
    const count = this.count(a)
    const figure =
      a.sum !== undefined
        ? this.sum(a, a.sum)
        : a.daysSince === true
          ? `intDiv(${this.options.nowMs} - ${this.lastMs(a)}, ${DAY_MS})`
          : count
    return `if(${count} = 0, '', toString(${figure}))`
  }

  private scoreText(score: Extract<Tag, { type: 'number' }>['score'] & object): string {
    const counts = score.points.map((p) => this.count(p))
    // Weights may be fractions: points are added in thousandths so that the sum is an integer on every engine.
    const sum = score.points.map((p, i) => `${Math.round(p.weight * 1000)} * toInt64(${counts[i]!})`).join(' + ')
    const bounded = `greatest(0, least(${score.max}, intDiv(${sum}, 1000)))`
    const figure = score.unless === undefined ? bounded : `if(${this.test(score.unless)}, 0, ${bounded})`
    return `if(${counts.join(' + ')} = 0, '', toString(${figure}))`
  }

  /** Boolean expression of a rule. */
  test(rule: Rule): string {
    if ('all' in rule) return `(${rule.all.map((r) => this.test(r)).join(' AND ')})`
    if ('any' in rule) return `(${rule.any.map((r) => this.test(r)).join(' OR ')})`
    if ('not' in rule) return `NOT ${this.test(rule.not)}`
    if ('event' in rule) return this.testEvent(rule)
    if ('trait' in rule) {
      const text = `traits[${literal(rule.trait)}]`
      const tests = compare(text, rule)
      if (rule.exists !== undefined) tests.push(`${text} ${rule.exists ? '!=' : '='} ''`)
      return tests.length === 0 ? `${text} != ''` : `(${tests.join(' AND ')})`
    }
    if ('identifier' in rule) return `has(identifier_types, ${literal(rule.identifier)})`
    if ('tag' in rule) return this.testTag(rule.tag, rule)
    if ('score' in rule) return this.testTag(rule.score, rule)
    if ('stage' in rule) return this.testTag(STAGE_TAG, { in: [rule.stage].flat() })
    const segment = this.options.segments.get(rule.segment)
    if (segment === undefined) throw new RangeError(`there is no segment "${rule.segment}"`)
    return this.test(segment)
  }

  /** The figure a clause was decided on, as text. */
  figure(rule: Rule): string {
    if ('event' in rule) {
      if (rule.sum !== undefined) return `toString(${this.sum(rule, Object.keys(rule.sum)[0]!)})`
      if (rule.daysSince !== undefined)
        return `if(${this.count(rule)} = 0, 'never', concat(toString(intDiv(${this.options.nowMs} - ${this.lastMs(rule)}, ${DAY_MS})), ' days'))`
      if (rule.first !== undefined) return this.edge(rule, 'argMinIf', rule.first.property)
      if (rule.last !== undefined) return this.edge(rule, 'argMaxIf', rule.last.property)
      return `toString(${this.count(rule)})`
    }
    if ('trait' in rule) return `traits[${literal(rule.trait)}]`
    if ('tag' in rule) return this.tagValue(rule.tag)
    if ('score' in rule) return this.tagValue(rule.score)
    if ('stage' in rule) return this.tagValue(STAGE_TAG)
    if ('identifier' in rule) return `arrayStringConcat(arraySort(identifier_types), ' ')`
    return "''"
  }

  private tagValue(id: string): string {
    const inPass = this.inPass.get(id)
    if (inPass !== undefined) return this.valueOf(inPass)
    this.storedTags.add(id)
    return `st[${literal(id)}]`
  }

  private testTag(id: string, comparators: Comparators): string {
    const value = this.tagValue(id)
    const tests = compare(value, comparators)
    return tests.length === 0 ? `${value} != ''` : `(${tests.join(' AND ')})`
  }

  private testEvent(c: EventClause): string {
    const count = this.count(c)
    if (c.count !== undefined) return within(count, c.count)
    if (c.sum !== undefined) {
      const [property, bounds] = Object.entries(c.sum)[0]!
      return `(${count} > 0 AND ${within(this.sum(c, property), bounds)})`
    }
    if (c.daysSince !== undefined) {
      const scaled = Object.fromEntries(Object.entries(c.daysSince).map(([k, v]) => [k, v * DAY_MS]))
      return `(${count} > 0 AND ${within(`(${this.options.nowMs} - ${this.lastMs(c)})`, scaled)})`
    }
    const edge = c.first ?? c.last
    if (edge !== undefined) {
      const tests = compare(this.edge(c, c.first === undefined ? 'argMaxIf' : 'argMinIf', edge.property), edge)
      return `(${[`${count} > 0`, ...tests].join(' AND ')})`
    }
    return `${count} > 0`
  }

  private count(w: Windowed): string {
    return this.column(`countIf(${this.condition(w)})`)
  }

  private lastMs(w: Windowed): string {
    return this.column(`maxIf(ms, ${this.condition(w)})`)
  }

  private sum(w: Windowed, property: string): string {
    if (property === 'amountMinor') return this.column(`sumIf(amount_minor, ${this.condition(w)})`)
    this.needsProperties = true
    return this.column(`sumIf(JSONExtractInt(properties, ${literal(property)}), ${this.condition(w)})`)
  }

  /** Value of a property at the first or last event; equal instants are decided by the event id. */
  private edge(w: Windowed, fn: 'argMinIf' | 'argMaxIf', property: string): string {
    this.needsProperties = true
    const value = property === 'amountMinor' ? 'toString(amount_minor)' : propertyText(property)
    return this.column(`${fn}(${value}, (ms, event_id), ${this.condition(w)})`)
  }

  private condition(w: Windowed): string {
    this.events.add(w.event)
    const parts = [`name = ${literal(w.event)}`]
    if (w.within !== undefined) parts.push(`ms > ${this.options.nowMs - w.within}`)
    if (w.between !== undefined)
      parts.push(`ms > ${this.options.nowMs - w.between[0]}`, `ms <= ${this.options.nowMs - w.between[1]}`)
    for (const [property, test] of Object.entries(w.where ?? {})) {
      const comparators = typeof test === 'object' ? test : { is: test }
      if (property === 'amountMinor') parts.push(...compare('toString(amount_minor)', comparators))
      else {
        this.needsProperties = true
        parts.push(...compare(propertyText(property), comparators))
      }
    }
    return parts.join(' AND ')
  }

  private column(expression: string): string {
    let alias = this.aggregates.get(expression)
    if (alias === undefined) {
      alias = `a${this.aggregates.size}`
      this.aggregates.set(expression, alias)
    }
    return alias
  }

  /** The joined source with `p`, `traits`, `identifier_types`, `st` and the aggregate columns. Call it after all expressions are built. */
  from(): string {
    const { scope } = this.options
    const profiles = `SELECT profile_id AS p, traits, identifier_types FROM profiles FINAL WHERE merged_into = 0${profileFilter(scope, 'profile_id', false)}`
    const state = `SELECT profile_id AS p, mapFromArrays(groupArray(tag_id), groupArray(value)) AS st FROM tag_state FINAL WHERE tag_id IN (${literals(this.storedTags.size === 0 ? [''] : [...this.storedTags])})${profileFilter(scope, 'profile_id', false)} GROUP BY p`
    const base = `(SELECT p, traits, identifier_types, st FROM (${profiles}) AS b LEFT JOIN (${state}) AS s USING (p))`
    if (this.aggregates.size === 0) return base
    const columns = [...this.aggregates].map(([expression, alias]) => `${expression} AS ${alias}`)
    const aggregated = `SELECT p, ${columns.join(',\n      ')}\n    FROM (${this.eventRows()}) GROUP BY p`
    return `(SELECT p, traits, identifier_types, st, ${[...this.aggregates.values()].join(', ')} FROM ${base} AS bs\n    LEFT JOIN (${aggregated}) AS e USING (p))`
  }

  private eventRows(): string {
    const { scope, nowMs } = this.options
    const columns = `name, toUnixTimestamp64Milli(occurred_at) AS ms, event_id, amount_minor${this.needsProperties ? ', properties' : ''}`
    const where = `name IN (${literals([...this.events])}) AND occurred_at <= fromUnixTimestamp64Milli(${nowMs}, 'UTC')${profileFilter(scope, 'profile_id', true)}`
    if (scope.kind === 'profiles') {
      const pairs = scope.profiles.flatMap((s) => s.aliases.map((alias) => [alias, s.profileId] as const))
      const p =
        pairs.length === 0
          ? 'profile_id'
          : `transform(profile_id, [${pairs.map((x) => x[0]).join(', ')}], [${pairs.map((x) => x[1]).join(', ')}], profile_id)`
      return `SELECT ${p} AS p, ${columns} FROM events WHERE ${where}`
    }
    return `SELECT if(m.merged_into = 0, profile_id, m.merged_into) AS p, ${columns}
      FROM events LEFT ANY JOIN (SELECT profile_id, merged_into FROM profiles FINAL WHERE merged_into != 0) AS m USING (profile_id) WHERE ${where}`
  }
}

/** With `aliases`, ids that were merged into the scope's profiles are included. Ranges cannot know them and take all. */
function profileFilter(scope: Scope, column: string, withAliases: boolean): string {
  if (scope.kind === 'profiles') {
    const ids = scope.profiles.flatMap((s) => (withAliases ? [s.profileId, ...s.aliases] : [s.profileId]))
    return ` AND ${column} IN (${ids.length === 0 ? '0' : ids.join(', ')})`
  }
  if (withAliases) return ''
  return [
    scope.fromProfileId === undefined ? '' : ` AND ${column} >= ${scope.fromProfileId}`,
    scope.toProfileId === undefined ? '' : ` AND ${column} < ${scope.toProfileId}`,
  ].join('')
}

/** A property as text, '' when it is missing: strings without quotes, everything else as in JSON. */
function propertyText(property: string): string {
  const key = literal(property)
  return `if(JSONType(properties, ${key}) = 'String', JSONExtractString(properties, ${key}), JSONExtractRaw(properties, ${key}))`
}

/** Tests on a text expression; numbers compare as numbers, and text that is none compares false. */
function compare(text: string, c: Comparators): string[] {
  const number = `toFloat64OrNull(${text})`
  const equals = (v: string | number | boolean) =>
    typeof v === 'number'
      ? `ifNull(${number} = ${literal(v)}, 0)`
      : `${text} = ${literal(typeof v === 'boolean' ? String(v) : v)}`
  const tests: string[] = []
  if (c.is !== undefined) tests.push(equals(c.is))
  if (c.in !== undefined) tests.push(`(${c.in.map(equals).join(' OR ')})`)
  if (c.gte !== undefined) tests.push(`ifNull(${number} >= ${literal(c.gte)}, 0)`)
  if (c.gt !== undefined) tests.push(`ifNull(${number} > ${literal(c.gt)}, 0)`)
  if (c.lte !== undefined) tests.push(`ifNull(${number} <= ${literal(c.lte)}, 0)`)
  if (c.lt !== undefined) tests.push(`ifNull(${number} < ${literal(c.lt)}, 0)`)
  return tests
}

function within(figure: string, b: Bounds): string {
  const signs = { gte: '>=', gt: '>', lte: '<=', lt: '<', is: '=' } as const
  const tests = Object.entries(b).map(([k, v]) => `${figure} ${signs[k as keyof typeof signs]} ${literal(v)}`)
  return tests.length === 1 ? tests[0]! : `(${tests.join(' AND ')})`
}
