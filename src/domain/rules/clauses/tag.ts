import { z } from 'zod'
import { comparesOrIsPresent } from '../comparisons.js'
import { comparators, Name, sayFields } from '../fields.js'
import { valueMistakes } from '../known.js'
import { dayEdges } from '../windows.js'
import type { Clause } from './clause.js'

const TagClause = z.strictObject({ tag: Name, ...comparators })

/** The value of a tag; without a test, that there is one. */
export const tag: Clause<z.infer<typeof TagClause>> = {
  schema: TagClause,
  words: { zh: '标签', en: 'a tag' },
  say: sayFields,
  parts: () => [],
  refersTo: (clause) => [{ kind: 'tag', name: clause.tag, path: ['tag'] }],
  lint: (clause, known) => valueMistakes(clause.tag, clause, known),
  demands: ({ tag, ...tests }, { tags }) => [{ of: `tag ${tag}`, tests: tests, values: tags.get(tag) }],
  edges: (clause, countedFrom) => dayEdges(countedFrom(clause.tag), clause),
  test: (clause, build) => comparesOrIsPresent(build.tag(clause.tag), clause),
  figure: (clause, build) => build.tag(clause.tag),
}
