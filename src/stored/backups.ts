import { z } from 'zod'
import { define } from './define.js'

/** A backup that was made of these stores, wherever its file is by now. `_id` is the name of the file without `.tar`. */
export const BackupRecord = z.object({
  _id: z.string(),
  /** All that was known by then is in it, and nothing that came later. */
  at: z.date(),
  /** Where it was written. */
  file: z.string(),
  /** Where whoever asked for it said to take it. */
  movedTo: z.string().optional(),
  bytes: z.number(),
  profiles: z.number(),
  events: z.number(),
})
export type BackupRecord = z.infer<typeof BackupRecord>

export const backupCollections = {
  backups: define({ name: 'backups', version: 1, schema: BackupRecord }),
}
