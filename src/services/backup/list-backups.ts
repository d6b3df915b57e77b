import type { Deps } from '../runtime/deps.js'
import { type Backup, type Copying, toBackup } from './make-backup.js'

/** Every backup that was made of these stores, newest first. `isThere`: its file is where it was written. */
export async function listBackups(
  { docs }: Pick<Deps, 'docs'>,
  { archives }: Pick<Copying, 'archives'>,
): Promise<{ backups: (Backup & { isThere: boolean })[] }> {
  const there = new Set(await archives.list())
  const records = await docs.backups.find({}, { sort: { at: -1 } })
  return { backups: records.map((record) => ({ ...toBackup(record), isThere: there.has(`${record._id}.tar`) })) }
}
