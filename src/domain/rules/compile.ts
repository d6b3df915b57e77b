import type { Tag } from '../tags/definition.js'
import { tagReads } from '../tags/definition.js'
import type { Instants } from '../tags/instants.js'
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
import {
  type Bool,
  boolSql,
  evaluateBool,
  evaluateText,
  type Num,
  type ProfileFigures,
  type Sign,
  type Text,
  textSql,
} from './expression.js'
import { literal, literals, SMALL_QUERY } from './sql.js'

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
  /** Tags whose value is an instant: rules compare the days since. */
  instants: Instants
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
  const compiler = new Compiler(evaluables, options)
  const pairs = evaluables.map((e) => `(${literal(e.id)}, ${textSql(compiler.valueOf(e))})`)
  return `SELECT p, tupleElement(o, 1) AS id, st[tupleElement(o, 1)] AS old, tupleElement(o, 2) AS new
FROM (
  SELECT p, st, arrayJoin(arrayFilter(x -> x.2 != st[x.1], [${pairs.join(',\n    ')}])) AS o
  FROM ${compiler.from()}
)
ORDER BY p, id
${analyzerFor(evaluables.length)}`
}

/** Planning dominates small queries: the new analyzer plans few expressions quicker, the old one many. */
const analyzerFor = (expressions: number) => `SETTINGS enable_analyzer = ${expressions <= 5 ? 1 : 0}`

/** What is known of a touched profile outside its events. */
export type KnownProfile = {
  profileId: number
  traits: Readonly<Record<string, string>>
  identifierTypes: readonly string[]
}

/** For the profiles just touched: SQL gives the figures, the same compiled rules are computed here. */
export type TouchedQuery = {
  /** SELECT of `p` and the aggregate columns; absent when no rule reads events. */
  figuresSql: string | undefined
  /** SELECT of `p`, `id`, `value`: the stored state of the evaluated and the read tags; absent when none is needed. */
  stateSql: string | undefined
  columns: readonly string[]
}

export type Delta = { p: number; id: string; old: string; new: string }

/** As `compileDeltas`, in two small queries and code; `tests` are rules that are wanted beside, on the fresh values. */
export function compileTouched(
  evaluables: readonly Evaluable[],
  options: CompileOptions,
  tests: readonly Rule[] = [],
): TouchedQuery & {
  deltas: (profiles: readonly Touched[]) => Delta[]
  /** Of every evaluable, in order of the ids. */
  values: (figures: ProfileFigures) => { id: string; value: string }[]
  holds: (figures: ProfileFigures) => boolean[]
} {
  const compiler = new Compiler(evaluables, options)
  const compiledTests = tests.map((rule) => compiler.test(rule))
  const values = evaluables
    .map((e) => ({ id: e.id, value: compiler.valueOf(e) }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  return {
    ...compiler.touched(),
    holds: (figures) => compiledTests.map((test) => evaluateBool(test, figures)),
    values: (figures) => values.map(({ id, value }) => ({ id, value: evaluateText(value, figures) })),
    deltas: (profiles) =>
      profiles.flatMap((t) =>
        values.flatMap(({ id, value }) => {
          const old = t.figures.stored[id] ?? ''
          const now = evaluateText(value, t.figures)
          return now === old ? [] : [{ p: t.profileId, id, old, new: now }]
        }),
      ),
  }
}

export type Touched = { profileId: number; figures: ProfileFigures }

/** A rule with, per clause, whether it held and the figure behind it. */
export type Explanation = { clause: string; holds: boolean; figure?: string; parts?: Explanation[] }

/** Why a rule holds or not for one profile. */
export function compileExplain(
  rule: Rule,
  options: CompileOptions,
): TouchedQuery & { explain: (figures: ProfileFigures) => Explanation } {
  const compiler = new Compiler([], options)
  const build = (r: Rule): ((f: ProfileFigures) => Explanation) => {
    const test = compiler.test(r)
    const figure = compiler.figure(r)
    const parts = childrenOf(r).map(build)
    return (f) => ({
      clause: describeRule(r),
      holds: evaluateBool(test, f),
      ...(parts.length > 0 ? { parts: parts.map((p) => p(f)) } : { figure: evaluateText(figure, f) }),
    })
  }
  const explain = build(rule)
  return { ...compiler.touched(), explain }
}

function childrenOf(rule: Rule): Rule[] {
  if ('all' in rule) return rule.all
  if ('any' in rule) return rule.any
  if ('not' in rule) return [rule.not]
  return []
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
class Compiler {
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

  valueOf(e: Evaluable): Text {
    return this.once(e.id, () => this.buildValue(e))
  }

  /** @throws {RangeError} when tags or segments read each other in a circle */
  private once<T>(name: string, build: () => T): T {
    if (this.resolving.has(name))
      throw new RangeError(`tags or segments read each other in a circle: ${[...this.resolving, name].join(' → ')}`)
    this.resolving.add(name)
    const built = build()
    this.resolving.delete(name)
    return built
  }

  private buildValue(e: Evaluable): Text {
    if ('rule' in e) return flag(this.test(e.rule))
    const { tag } = e
    switch (tag.type) {
      case 'flag':
        return flag(this.test(tag.when))
      case 'choice':
        return {
          text: 'choice',
          cases: tag.cases.map((c) => ({ when: this.test(c.when), value: constant(c.value) })),
          otherwise: ABSENT,
        }
      case 'text':
        return { text: 'trait', trait: tag.trait }
      case 'number':
        return tag.score === undefined ? this.aggregateText(tag.value!) : this.scoreText(tag.score)
    }
  }

  private aggregateText(a: Aggregate): Text {
    const count = this.count(a)
    const figure: Text =
      a.sum !== undefined
        ? { text: 'figure', of: this.sum(a, a.sum), per: 1 }
        : a.daysSince === true
          ? { text: 'figure', of: this.last(a), per: 1 }
          : { text: 'figure', of: count, per: 1 }
    return {
      text: 'choice',
      cases: [{ when: { bool: 'compare', of: count, sign: '=', to: 0 }, value: ABSENT }],
      otherwise: figure,
    }
  }

  private scoreText(score: Extract<Tag, { type: 'number' }>['score'] & object): Text {
    const columns = score.points.map((p) => this.count(p).column)
    // Weights may be fractions: points are added in thousandths so that the sum is an integer on every engine.
    const points: Num = {
      num: 'sum',
      terms: score.points.map((p, i) => ({ weight: Math.round(p.weight * 1000), column: columns[i]! })),
    }
    const evidence: Num = { num: 'sum', terms: columns.map((column) => ({ weight: 1, column })) }
    const none = { when: { bool: 'compare', of: evidence, sign: '=', to: 0 } as const, value: ABSENT }
    const blocked = score.unless === undefined ? [] : [{ when: this.test(score.unless), value: constant('0') }]
    return {
      text: 'choice',
      cases: [none, ...blocked],
      otherwise: { text: 'figure', of: points, per: 1000, min: 0, max: score.max },
    }
  }

  test(rule: Rule): Bool {
    if ('all' in rule) return { bool: 'all', of: rule.all.map((r) => this.test(r)) }
    if ('any' in rule) return { bool: 'any', of: rule.any.map((r) => this.test(r)) }
    if ('not' in rule) return { bool: 'not', of: this.test(rule.not) }
    if ('event' in rule) return this.testEvent(rule)
    if ('trait' in rule) {
      const text: Text = { text: 'trait', trait: rule.trait }
      const tests = compareAll(text, rule)
      if (rule.has !== undefined) tests.push({ bool: 'listed', of: text, entry: rule.has })
      if (rule.exists === false) tests.push({ bool: 'equals', of: text, to: '' })
      else if (rule.exists === true || tests.length === 0) tests.push(isPresent(text))
      return { bool: 'all', of: tests }
    }
    if ('identifier' in rule) return { bool: 'hasIdentifier', type: rule.identifier }
    if ('tag' in rule) return this.testTag(rule.tag, rule)
    if ('score' in rule) return this.testTag(rule.score, rule)
    if ('stage' in rule) return this.testTag(STAGE_TAG, { in: [rule.stage].flat() })
    const segment = this.options.segments.get(rule.segment)
    if (segment === undefined) throw new RangeError(`there is no segment "${rule.segment}"`)
    return this.once(`segment ${rule.segment}`, () => this.test(segment))
  }

  /** The figure a clause was decided on. */
  figure(rule: Rule): Text {
    if ('event' in rule) {
      if (rule.sum !== undefined) return { text: 'figure', of: this.sum(rule, Object.keys(rule.sum)[0]!), per: 1 }
      if (rule.daysSince !== undefined)
        return this.days(this.aggregateText({ event: rule.event, ...windowOf(rule), daysSince: true }))
      if (rule.first !== undefined) return this.edge(rule, 'argMinIf', rule.first.property)
      if (rule.last !== undefined) return this.edge(rule, 'argMaxIf', rule.last.property)
      return { text: 'figure', of: this.count(rule), per: 1 }
    }
    if ('trait' in rule) return { text: 'trait', trait: rule.trait }
    if ('tag' in rule) return this.tagValue(rule.tag)
    if ('score' in rule) return this.tagValue(rule.score)
    if ('stage' in rule) return this.tagValue(STAGE_TAG)
    if ('identifier' in rule) return { text: 'identifiers' }
    return ABSENT
  }

  private tagValue(id: string): Text {
    const inPass = this.inPass.get(id)
    if (inPass === undefined) this.storedTags.add(id)
    const value: Text = inPass === undefined ? { text: 'stored', tagId: id } : this.valueOf(inPass)
    return this.options.instants.has(id) ? this.days(value) : value
  }

  private days(instant: Text): Text {
    return { text: 'days', of: instant, nowMs: this.options.nowMs }
  }

  private testTag(id: string, comparators: Comparators): Bool {
    const value = this.tagValue(id)
    const tests = compareAll(value, comparators)
    return { bool: 'all', of: tests.length === 0 ? [isPresent(value)] : tests }
  }

  private testEvent(c: EventClause): Bool {
    const count = this.count(c)
    const some: Bool = { bool: 'compare', of: count, sign: '>', to: 0 }
    if (c.count !== undefined) return { bool: 'all', of: within(count, c.count) }
    if (c.sum !== undefined) {
      const [property, bounds] = Object.entries(c.sum)[0]!
      return { bool: 'all', of: [some, ...within(this.sum(c, property), bounds)] }
    }
    if (c.daysSince !== undefined) return { bool: 'all', of: [some, ...within(this.sinceLast(c), c.daysSince, DAY_MS)] }
    const edge = c.first ?? c.last
    if (edge === undefined) return some
    return {
      bool: 'all',
      of: [some, ...compareAll(this.edge(c, c.first === undefined ? 'argMaxIf' : 'argMinIf', edge.property), edge)],
    }
  }

  private count(w: Windowed): Extract<Num, { num: 'column' }> {
    return { num: 'column', column: this.column(`countIf(${this.condition(w)})`) }
  }

  private sinceLast(w: Windowed): Num {
    return { num: 'minusColumn', from: this.options.nowMs, column: this.last(w).column }
  }

  private last(w: Windowed): Extract<Num, { num: 'column' }> {
    return { num: 'column', column: this.column(`maxIf(ms, ${this.condition(w)})`) }
  }

  private sum(w: Windowed, property: string): Num {
    if (property === 'amountMinor')
      return { num: 'column', column: this.column(`sumIf(amount_minor, ${this.condition(w)})`) }
    this.needsProperties = true
    return {
      num: 'column',
      column: this.column(`sumIf(JSONExtractInt(properties, ${literal(property)}), ${this.condition(w)})`),
    }
  }

  /** Value of a property at the first or last event; equal instants are decided by the event id. */
  private edge(w: Windowed, fn: 'argMinIf' | 'argMaxIf', property: string): Text {
    return {
      text: 'column',
      column: this.column(`${fn}(${this.property(property)}, (ms, event_id), ${this.condition(w)})`),
    }
  }

  private condition(w: Windowed): string {
    this.events.add(w.event)
    const parts = [`name = ${literal(w.event)}`]
    if (w.within !== undefined) parts.push(`ms > ${this.options.nowMs - w.within}`)
    if (w.between !== undefined)
      parts.push(`ms > ${this.options.nowMs - w.between[0]}`, `ms <= ${this.options.nowMs - w.between[1]}`)
    for (const [property, test] of Object.entries(w.where ?? {})) {
      const tests = compareAll(
        { text: 'column', column: this.property(property) },
        typeof test === 'object' ? test : { is: test },
      )
      parts.push(...tests.map(boolSql))
    }
    return parts.join(' AND ')
  }

  /** A property as text, '' when it is missing: strings without quotes, everything else as in JSON. */
  private property(property: string): string {
    if (property === 'amountMinor') return 'toString(amount_minor)'
    this.needsProperties = true
    const key = literal(property)
    return `if(JSONType(properties, ${key}) = 'String', JSONExtractString(properties, ${key}), JSONExtractRaw(properties, ${key}))`
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
    const profiles = `SELECT profile_id AS p, traits, identifier_types FROM profiles FINAL WHERE merged_into = 0${profileFilter(scope, 'profile_id')}`
    const state = `SELECT profile_id AS p, mapFromArrays(groupArray(tag_id), groupArray(value)) AS st FROM tag_state FINAL WHERE ${this.stateFilter()} GROUP BY p`
    const base = `(SELECT p, traits, identifier_types, st FROM (${profiles}) AS b LEFT JOIN (${state}) AS s USING (p))`
    if (this.aggregates.size === 0) return base
    return `(SELECT p, traits, identifier_types, st, ${[...this.aggregates.values()].join(', ')} FROM ${base} AS bs
    LEFT JOIN (${this.figures()}) AS e USING (p))`
  }

  /** The two small queries for touched profiles. Call it after all expressions are built. */
  touched(): TouchedQuery {
    return {
      figuresSql: this.aggregates.size === 0 ? undefined : `${this.figures()} ${SMALL_QUERY}`,
      stateSql:
        this.storedTags.size === 0
          ? undefined
          : `SELECT profile_id AS p, tag_id AS id, value FROM tag_state FINAL WHERE ${this.stateFilter()} ${SMALL_QUERY}`,
      columns: [...this.aggregates.values()],
    }
  }

  private stateFilter(): string {
    return `tag_id IN (${literals(this.storedTags.size === 0 ? [''] : [...this.storedTags])})${profileFilter(this.options.scope, 'profile_id')}`
  }

  private figures(): string {
    const columns = [...this.aggregates].map(([expression, alias]) => `${expression} AS ${alias}`)
    return `SELECT p, ${columns.join(',\n      ')}\n    FROM (${this.eventRows()}) GROUP BY p`
  }

  private eventRows(): string {
    const { scope, nowMs } = this.options
    const columns = `name, toUnixTimestamp64Milli(occurred_at) AS ms, event_id, amount_minor${this.needsProperties ? ', properties' : ''}`
    const where = `name IN (${literals([...this.events])}) AND occurred_at <= fromUnixTimestamp64Milli(${nowMs}, 'UTC')`
    if (scope.kind === 'profiles') {
      const ids = scope.profiles.flatMap((s) => [s.profileId, ...s.aliases])
      const pairs = scope.profiles.flatMap((s) => s.aliases.map((alias) => [alias, s.profileId] as const))
      const p =
        pairs.length === 0
          ? 'profile_id'
          : `transform(profile_id, [${pairs.map((x) => x[0]).join(', ')}], [${pairs.map((x) => x[1]).join(', ')}], profile_id)`
      return `SELECT ${p} AS p, ${columns} FROM events WHERE ${where} AND profile_id IN (${ids.length === 0 ? '0' : ids.join(', ')})`
    }
    const merged = `SELECT profile_id, merged_into FROM profiles FINAL WHERE merged_into != 0${profileFilter(scope, 'merged_into')}`
    const range = profileFilter(scope, 'profile_id')
    const owned = range === '' ? '' : ` AND ((${range.slice(5)}) OR profile_id IN (SELECT profile_id FROM (${merged})))`
    return `SELECT if(m.merged_into = 0, profile_id, m.merged_into) AS p, ${columns}
      FROM events LEFT ANY JOIN (${merged}) AS m USING (profile_id) WHERE ${where}${owned}`
  }
}

const ABSENT: Text = { text: 'constant', value: '' }

function constant(value: string): Text {
  return { text: 'constant', value }
}

function flag(when: Bool): Text {
  return { text: 'choice', cases: [{ when, value: constant('1') }], otherwise: ABSENT }
}

function isPresent(text: Text): Bool {
  return { bool: 'not', of: { bool: 'equals', of: text, to: '' } }
}

function windowOf({ where, within: window, between }: EventClause): Omit<Aggregate, 'event'> {
  return { ...(where && { where }), ...(window !== undefined && { within: window }), ...(between && { between }) }
}

/** Survivors of the scope; merged profiles have no row of their own there. */
function profileFilter(scope: Scope, column: string): string {
  if (scope.kind === 'profiles') {
    const ids = scope.profiles.map((s) => s.profileId)
    return ` AND ${column} IN (${ids.length === 0 ? '0' : ids.join(', ')})`
  }
  return [
    scope.fromProfileId === undefined ? '' : ` AND ${column} >= ${scope.fromProfileId}`,
    scope.toProfileId === undefined ? '' : ` AND ${column} < ${scope.toProfileId}`,
  ].join('')
}

/** Tests on a text; numbers compare as numbers, and text that is none compares false. */
function compareAll(of: Text, c: Comparators): Bool[] {
  const equals = (v: string | number | boolean): Bool =>
    typeof v === 'number' ? { bool: 'compareText', of, sign: '=', to: v } : { bool: 'equals', of, to: String(v) }
  const tests: Bool[] = []
  if (c.is !== undefined) tests.push(equals(c.is))
  if (c.in !== undefined) tests.push({ bool: 'any', of: c.in.map(equals) })
  for (const [key, sign] of SIGNS) {
    const to = c[key]
    if (to !== undefined) tests.push({ bool: 'compareText', of, sign, to })
  }
  return tests
}

const SIGNS: readonly ['gte' | 'gt' | 'lte' | 'lt', Sign][] = [
  ['gte', '>='],
  ['gt', '>'],
  ['lte', '<='],
  ['lt', '<'],
]

function within(of: Num, bounds: Bounds, unit = 1): Bool[] {
  const tests: Bool[] = SIGNS.flatMap(([key, sign]) =>
    bounds[key] === undefined ? [] : [{ bool: 'compare' as const, of, sign, to: bounds[key] * unit }],
  )
  return bounds.is === undefined ? tests : [...tests, { bool: 'compare', of, sign: '=', to: bounds.is * unit }]
}
