import { type Tag, tagKindOf } from '../tags/definition.js'
import { flagText } from '../tags/kinds/flag.js'
import type { TagBuild } from '../tags/kinds/kind.js'
import type { Aggregation, Bool, Text } from './expression.js'
import { clauseOf, partsOf, type Rule } from './rule.js'

/**
 * Something with a value per profile that is kept and compared: a tag, or a rule under an id (a journey's entry).
 * Values are text: '' absent, '1' a flag that is set, otherwise the choice, number, text or instant itself.
 */
export type Evaluable = { id: string; tag: Tag } | { id: string; rule: Rule }

export type TreeOptions = {
  nowMs: number
  /** Rules behind `{segment: id}`. */
  segments: ReadonlyMap<string, Rule>
  /** Every tag that rules may name. */
  tags: readonly Tag[]
  /** Tags that are computed where a rule reads them, and not compared. */
  computed?: readonly Evaluable[]
}

/** Builds expressions, and collects on the way which figures and stored tags of a profile they need. */
export class Tree implements TagBuild {
  readonly nowMs: number
  private readonly segments: ReadonlyMap<string, Rule>
  /** Tags that count days: kept is the instant. */
  private readonly counting: ReadonlySet<string>
  private readonly inPass: ReadonlyMap<string, Evaluable>
  private readonly resolving = new Set<string>()
  private readonly values = new Map<string, { value: Text; level: number }>()
  /** Tags of this pass that are read in it. */
  private readonly readInPass = new Set<string>()
  /** One more than the highest level of what the expression that is being built has read so far. */
  private level = 0
  private readonly columns = new Map<string, { column: string; aggregation: Aggregation }>()
  /** The tags that are evaluated, and those that are read as stored. Complete once all expressions are built. */
  readonly storedTags = new Set<string>()
  /** The traits that are read. Complete once all expressions are built. */
  readonly traits = new Set<string>()

  constructor(evaluables: readonly Evaluable[], { nowMs, segments, tags, computed = [] }: TreeOptions) {
    this.nowMs = nowMs
    this.segments = segments
    this.counting = new Set(tags.filter((tag) => tagKindOf(tag).countedFrom(tag) !== undefined).map((tag) => tag.id))
    this.inPass = new Map([...computed, ...evaluables].map((e) => [e.id, e]))
    for (const e of evaluables) this.storedTags.add(e.id)
  }

  /** The figures of a profile's events. Complete once all expressions are built. */
  get figures(): { column: string; aggregation: Aggregation }[] {
    return [...this.columns.values()]
  }

  /**
   * The tags of this pass that are read in it, by level: those of one read only those of the levels before. Complete once
   * all expressions are built.
   */
  get levels(): { id: string; value: Text }[][] {
    const levels: { id: string; value: Text }[][] = []
    for (const id of this.readInPass) {
      const { value, level } = this.values.get(id)!
      ;(levels[level] ??= []).push({ id, value })
    }
    return levels.filter((level) => level.length > 0)
  }

  /** How many tags of this pass it reads one behind the other; of one that is built. */
  levelOf({ id }: Evaluable): number {
    return this.values.get(id)!.level
  }

  /** As `valueOf`, and where it is worked out for others, from there. Only when all expressions are built. */
  resultOf(e: Evaluable): Text {
    return this.readInPass.has(e.id) ? { text: 'computed', tagId: e.id } : this.valueOf(e)
  }

  /** @throws {RangeError} when tags or segments read each other in a circle */
  valueOf(e: Evaluable): Text {
    const outer = this.level
    this.level = 0
    const built = this.values.get(e.id) ?? this.once(e.id, () => ({ value: this.build(e), level: this.level }))
    this.values.set(e.id, built)
    this.level = Math.max(outer, built.level + 1)
    return built.value
  }

  private build(e: Evaluable): Text {
    return 'rule' in e ? flagText(this.test(e.rule)) : tagKindOf(e.tag).value(e.tag, this)
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

  trait(name: string): Text {
    this.traits.add(name)
    return { text: 'trait', trait: name }
  }

  tag(id: string): Text {
    const inPass = this.inPass.get(id)
    if (inPass === undefined) this.storedTags.add(id)
    else {
      this.valueOf(inPass)
      this.readInPass.add(id)
    }
    const kept: Text = { text: inPass === undefined ? 'stored' : 'computed', tagId: id }
    return this.counting.has(id) ? { text: 'days', of: kept, nowMs: this.nowMs } : kept
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
}
