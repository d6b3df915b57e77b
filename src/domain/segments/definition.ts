import { z } from 'zod'
import { said } from '../../said.js'
import { Rule } from '../rules/rule.js'
import { LocalText } from '../local-text.js'

/** A saved rule. */
export const Segment = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9_]*$/, said('人群 id 用小写字母、数字和下划线', 'a segment id is snake_case')),
  name: LocalText,
  purpose: z.string().min(1),
  when: Rule,
})
export type Segment = z.infer<typeof Segment>

export const SegmentFile = z.strictObject({ segments: z.array(Segment) })
