/** All that a connector may import: what it must give, and the leaves it needs to map. */
import type { z } from 'zod'
import type { SourceRecordInput } from './domain/events/record.js'

export { CSV_BOUNDS } from './bounds.js'
export type { Identifier, RecordEvent, SourceRecord, SourceRecordInput } from './domain/events/record.js'
export { isOwnSource, type OwnSource } from './domain/events/sources.js'
export { isReservedEvent, systemEvent, type SystemProperties } from './domain/events/system-events.js'
export { InvalidInputError, type Problem } from './errors.js'
export { parseInput } from './parse.js'
export { meant, nearest, said } from './said.js'
export { fromWallTime, isTimeZone, toDay } from './time.js'
export { parseYaml, readYaml } from './yaml-file.js'

export interface Connector<S extends z.ZodType> {
  name: string
  /** Shape of one incoming item. */
  payload: S
  /** One item in, any number of records out. Pure: `now` is when it was received. */
  toRecords(item: z.infer<S>, now: Date): SourceRecordInput[]
}

export function defineConnector<S extends z.ZodType>(connector: Connector<S>): Connector<S> {
  return connector
}
