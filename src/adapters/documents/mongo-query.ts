import { Context } from 'mingo/core'
import * as query from 'mingo/operators/query'
import { Query } from 'mingo/query'
import type { Plain } from './language.js'

// The package's own entry loads every operator of aggregation as well: three hundred files of which no filter of ours uses one.
const context = Context.init({ query })

/** A filter that `checkFilter` has read, interpreted as MongoDB does. */
export function mongoQuery(filter: Plain): Query<Plain> {
  return new Query<Plain>(filter, { context })
}
