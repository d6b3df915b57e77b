import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { openMongoDocuments } from '../adapters/documents/mongo.js'
import { openSqliteDocuments } from '../adapters/documents/sqlite.js'
import { openChdbEvents } from '../adapters/events/chdb.js'
import { openClickhouseEvents } from '../adapters/events/clickhouse.js'
import { openBullQueue } from '../adapters/queue/bull.js'
import { openInProcessQueue } from '../adapters/queue/in-process.js'
import type { Config } from '../config.js'
import { lockDataDir } from './data-dir.js'
import type { UnfitDocumentError } from '../errors.js'
import type { Log } from '../log.js'
import type { DocumentStore } from '../ports/document-store.js'
import type { EventStore } from '../ports/event-store.js'
import type { JobQueue } from '../ports/job-queue.js'
import { refuseHalfRestored } from '../services/backup/restore-backup.js'
import { type Collections, openCollections } from '../stored/collections.js'

export async function openDocuments(
  { documents, dataDir }: Config,
  { fsync, log }: { fsync: boolean; log?: Log },
): Promise<DocumentStore> {
  const onUnfit = ({ collection, id, message }: UnfitDocumentError) =>
    log?.error('stored document cannot be used', { collection, id, cause: message })
  if (documents.kind === 'sqlite')
    return openSqliteDocuments({ file: join(dataDir, 'documents.sqlite'), fsync, onUnfit })
  return openMongoDocuments({
    url: documents.url,
    database: documents.database,
    onUnfit,
    ...(documents.prefix === undefined ? {} : { prefix: documents.prefix }),
  })
}

export async function openEvents({ events, dataDir }: Config, fsync: boolean): Promise<EventStore> {
  if (events.kind === 'chdb') return openChdbEvents({ path: join(dataDir, 'events'), fsync, onSilent: endAtOnce })
  return openClickhouseEvents({
    url: events.url,
    database: events.database,
    ...(events.cluster === undefined ? {} : { cluster: events.cluster }),
  })
}

/** An engine in this process that does not answer holds its end as well. Whoever supervises the process starts it anew. */
function endAtOnce(err: Error): void {
  writeSync(process.stderr.fd, `${err.message}\n`)
  process.kill(process.pid, 'SIGKILL')
}

export async function openJobs({ jobs }: Config, log: Log): Promise<JobQueue> {
  const { concurrency } = jobs
  return jobs.kind === 'bull'
    ? openBullQueue({ url: jobs.url, prefix: jobs.prefix, concurrency, log })
    : openInProcessQueue({ concurrency, log })
}

/**
 * Only the documents, for what must work whatever the definition files say: the switch that stops sending.
 *
 * @throws {ConflictError} when another process holds the data directory
 */
export async function openDocumentsOnly(config: Config): Promise<{ docs: Collections; close: () => Promise<void> }> {
  const lock = config.documents.kind === 'sqlite' ? await lockDataDir(config.dataDir) : undefined
  try {
    const documents = await openDocuments(config, { fsync: true })
    const close = async () => {
      await documents.close()
      await lock?.release()
    }
    const docs = await openCollections(documents)
    await refuseHalfRestored(docs)
    return { docs, close }
  } catch (err) {
    await lock?.release()
    throw err
  }
}
