import { openTar } from '../adapters/archive/tar.js'
import { type Env, loadConfig } from '../config.js'
import { readManifest } from '../services/backup/manifest.js'
import { type Restored, restoreBackup, verifyBackup } from '../services/backup/restore-backup.js'
import { systemClock } from '../time.js'
import { lockDataDir } from './data-dir.js'
import { localUser } from './local-user.js'
import { openDocuments, openEvents } from './open-stores.js'
import { isEmbedded } from './running-service.js'

/**
 * Fills the empty stores of a configuration with a backup.
 *
 * @param onProgress - hears of pieces: each is verified first, before any store is opened, then written
 * @throws {ConflictError} where a service has the data directory, or the stores are not empty
 * @throws {InvalidInputError} where the file is no whole backup; nothing was touched then
 */
export async function restoreFrom(
  file: string,
  { config: configFile, env }: { config: string; env: Env },
  onProgress: (done: number, total: number) => void,
): Promise<Restored> {
  const config = await loadConfig({ file: configFile, env, without: ['wecom', 'wechaty', 'http', 'jobs'] })
  const archive = await openTar(file)
  const closers: (() => Promise<void>)[] = [() => archive.close()]
  try {
    const manifest = await readManifest(archive)
    let done = 0
    const onPiece = () => onProgress(++done, 2 * manifest.pieces.length)
    await verifyBackup(archive, manifest, onPiece)
    if (isEmbedded(config)) {
      const lock = await lockDataDir(config.dataDir)
      closers.push(() => lock.release())
    }
    const documents = await openDocuments(config, { fsync: true })
    closers.push(() => documents.close())
    const events = await openEvents(config, true)
    closers.push(() => events.close())
    return await restoreBackup({ documents, events, clock: systemClock, who: localUser() }, archive, manifest, onPiece)
  } finally {
    for (const close of closers.reverse()) await close()
  }
}
