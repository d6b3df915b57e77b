import type { Tag } from '../tags/definition.js'
import type { Build } from './build.js'
import { ABSENT, constant } from './comparisons.js'
import type { Aggregation, Bool, Num, Text } from './expression.js'
import type { Aggregate } from './fields.js'
import { clauseOf, partsOf, type Rule } from './rule.js'
import { absentIfNone, countOf, daysSinceOf, sumOf } from './windows.js'

/**
 * Something with a value per profile that is kept and compared: a tag, or a rule under an id (a journey's entry).
 * Values are text: '' absent, '1' a flag that is set, otherwise the choice, number or text itself.
 */
export type Evaluable = { id: string; tag: Tag } | { id: string; rule: Rule }

export type TreeOptions = {
  nowMs: number
  /** Rules behind `{segment: id}`. */
  segments: ReadonlyMap<string, Rule>
}

/** Builds expressions, and collects on the way which figures and stored tags of a profile they need. */
export class Tree implements Build {
  readonly nowMs: number
  private readonly segments: ReadonlyMap<string, Rule>
  private readonly inPass: ReadonlyMap<string, Evaluable>
  private readonly resolving = new Set<string>()
  private readonly columns = new Map<string, { column: string; aggregation: Aggregation }>()
  /** The tags that are evaluated, and those that are read as stored. Complete once all expressions are built. */
  readonly storedTags = new Set<string>()

  constructor(evaluables: readonly Evaluable[], { nowMs, segments }: TreeOptions) {
    this.nowMs = nowMs
    this.segments = segments
    this.inPass = new Map(evaluables.map((e) => [e.id, e]))
    for (const e of evaluables) this.storedTags.add(e.id)
  }

  /** The figures of a profile's events. Complete once all expressions are built. */
  get figures(): { column: string; aggregation: Aggregation }[] {
    return [...this.columns.values()]
  }

  /** @throws {RangeError} when tags or segments read each other in a circle */
  valueOf(e: Evaluable): Text {
    return this.once(e.id, () => ('rule' in e ? flag(this.test(e.rule)) : this.tagValue(e.tag)))
  }

  test(rule: Rule): Bool {
    const parts = partsOf(rule).map((part) => this.test(part.rule))
    return clauseOf(rule).test(rule, this, parts)
  }

  /** The figure the outermost clause was decided on. */
  figure(rule: Rule): Text {
    return clauseOf(rule).figure(rule, this)
  }

  column(aggregation: Aggregation): string {
    const key = JSON.stringify(aggregation)
    const known = this.columns.get(key) ?? { column: `a${this.columns.size}`, aggregation }
    this.columns.set(key, known)
    return known.column
  }

  tag(id: string): Text {
    const inPass = this.inPass.get(id)
    if (inPass !== undefined) return this.valueOf(inPass)
    this.storedTags.add(id)
    return { text: 'stored', tagId: id }
  }

  segment(id: string): Bool {
    const rule = this.segments.get(id)
    if (rule === undefined) throw new RangeError(`there is no segment "${id}"`)
    return this.once(`segment ${id}`, () => this.test(rule))
  }

  private once<T>(name: string, build: () => T): T {
    if (this.resolving.has(name))
      throw new RangeError(`tags or segments read each other in a circle: ${[...this.resolving, name].join(' → ')}`)
    this.resolving.add(name)
    const built = build()
    this.resolving.delete(name)
    return built
  }

  private tagValue(tag: Tag): Text {
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
    if (a.sum === undefined && a.daysSince === true) return daysSinceOf(this, a)
    return {
      text: 'choice',
      cases: [absentIfNone(this, a)],
      otherwise: { text: 'figure', of: a.sum === undefined ? countOf(this, a) : sumOf(this, a, a.sum), per: 1 },
    }
  }

  private scoreText(score: Extract<Tag, { type: 'number' }>['score'] & object): Text {
    const columns = score.points.map((p) => countOf(this, p).column)
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
}

function flag(when: Bool): Text {
  return { text: 'choice', cases: [{ when, value: constant('1') }], otherwise: ABSENT }
}
