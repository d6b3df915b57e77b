import { z } from 'zod'
import { define } from './define.js'

/** Who did what, when. `_id` counts from 1 without a gap; rows are only ever added. */
export const AuditRow = z.object({
  _id: z.number(),
  /** `key:<id of the API key>`, `user:<operating system user>`, `guide:<userid>` or `system`. */
  who: z.string(),
  operation: z.string(),
  /** What it was done to; never a phone number or another identifier of a customer. */
  target: z.string(),
  at: z.date(),
  /** refused: asked for in vain, nothing was done. failed: broken off, some of it may have been done. */
  outcome: z.enum(['done', 'refused', 'failed']),
  /** Code of the error, unless it was done; `interrupted`: its process died. */
  code: z.string().optional(),
  /** Hash of the input with personal data left out; empty for one that could not be read. */
  inputHash: z.string(),
  /** Hash of the row before; empty in the first. */
  previousHash: z.string(),
  /** Of everything above. */
  hash: z.string(),
})
export type AuditRow = z.infer<typeof AuditRow>

export const auditCollections = {
  audit: define({ name: 'audit', version: 1, schema: AuditRow }),
}
