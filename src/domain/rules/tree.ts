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

/** The value of a tag: one that others read is computed once, into a column, before those that read it. */
export type TagColumn = { column: string; value: Text }

/** `level`: how many columns of tags have to be there, one after the other, before it can be computed. */
type Built = TagColumn & { level: number; isRead: boolean }

/** Builds expressions, and collects on the way which figures and stored tags of a profile they need. */
export class Tree implements TagBuild {
  readonly nowMs: number
  private readonly segments: ReadonlyMap<string, Rule>
  /** Tags that count days: kept is the instant. */
  private readonly counting: ReadonlySet<string>
  private readonly inPass: ReadonlyMap<string, Evaluable>
  private readonly resolving = new Set<string>()
  private readonly built = new Map<string, Built>()
  /** The levels of those that are being built, as far as they are known. */
  private readonly levelsSoFar: number[] = []
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

  /** Columns of tags, in levels: those of one read only figures and columns before it. Complete once all is built. */
  get levels(): TagColumn[][] {
    const levels: TagColumn[][] = []
    for (const { level, isRead, ...column } of this.built.values()) if (isRead) (levels[level] ??= []).push(column)
    return levels
  }

  /** @throws {RangeError} when tags or segments read each other in a circle */
  levelOf(e: Evaluable): number {
    return this.build(e).level
  }

  /** What it is read as, once all expressions are built. @throws {RangeError} as above */
  valueOf(e: Evaluable): Text {
    const { isRead, column, value } = this.build(e)
    return isRead ? { text: 'column', column } : value
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
    const kept = this.kept(id)
    return this.counting.has(id) ? { text: 'days', of: kept, nowMs: this.nowMs } : kept
  }

  private kept(id: string): Text {
    const inPass = this.inPass.get(id)
    if (inPass === undefined) {
      this.storedTags.add(id)
      return { text: 'stored', tagId: id }
    }
    const built = this.build(inPass)
    built.isRead = true
    const reader = this.levelsSoFar.pop()
    if (reader !== undefined) this.levelsSoFar.push(Math.max(reader, built.level + 1))
    return { text: 'column', column: built.column }
  }

  segment(id: string): Bool {
    const rule = this.segments.get(id)
    if (rule === undefined) throw new RangeError(`there is no segment "${id}"`)
    return this.once(`segment ${id}`, () => this.test(rule))
  }

  private build(e: Evaluable): Built {
    const known = this.built.get(e.id)
    if (known !== undefined) return known
    this.levelsSoFar.push(0)
    const value = this.once(e.id, () =>
      'rule' in e ? flagText(this.test(e.rule)) : tagKindOf(e.tag).value(e.tag, this),
    )
    const level = this.levelsSoFar.pop()! // pushed above
    const built = { column: `t${this.built.size}`, value, level, isRead: false }
    this.built.set(e.id, built)
    return built
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
