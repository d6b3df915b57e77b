import type { Aggregation, Bool, Text } from './expression.js'

/** What a clause or a tag finds when its expression is built. */
export interface Build {
  readonly nowMs: number
  /** The column that holds this figure of a profile's events; equal ones share it. */
  column(aggregation: Aggregation): string
  /** The value of a trait. */
  trait(name: string): Text
  /** The value of a tag: as computed in this pass, else as stored. */
  tag(id: string): Text
  /** @throws {RangeError} when there is no such segment, or segments name each other in a circle */
  segment(id: string): Bool
}
