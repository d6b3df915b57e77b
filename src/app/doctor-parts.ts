import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { said } from '../said.js'
import { openMongoDocuments } from '../adapters/documents/mongo.js'
import { pingClickhouse } from '../adapters/events/ping-clickhouse.js'
import { countRedisJobs } from '../adapters/queue/count-redis-jobs.js'
import { createCallbackEcho } from '../adapters/wecom/port/callback-echo.js'
import { createProbe } from '../adapters/wecom/port/probe.js'
import type { Config } from '../config.js'
import type { Group, JobCounts } from '../ports/job-queue.js'
import type { DoctorDeps, StoreCheck } from '../services/runtime/run-doctor.js'
import { type Clock, systemClock } from '../time.js'

/** The parts that `siyu doctor` looks through, built without opening a store: it also works where the service cannot start. */
export async function doctorParts(
  config: Config,
  options: { clock?: Clock; serviceUrl?: string; serving?: readonly string[] } = {},
): Promise<Pick<DoctorDeps, 'wecom' | 'callback' | 'stores'>> {
  const { clock = systemClock, serviceUrl, serving } = options
  const { wecom } = config
  const stores = await storeChecks(config)
  if (wecom === undefined) return { stores }
  const { baseUrl, corpId, agentId, secret, contactSyncSecret, callback } = wecom
  return {
    stores,
    wecom: {
      probe: createProbe({
        baseUrl,
        corpId,
        secret,
        clock,
        ...(contactSyncSecret !== undefined && { contactSyncSecret }),
      }),
      subject: { corpId, agentId, hasContactSyncSecret: contactSyncSecret !== undefined, ...(serving && { serving }) },
    },
    ...(callback !== undefined && {
      callback: {
        echo: createCallbackEcho({ ...callback, corpId }, clock),
        ...(serviceUrl !== undefined && { serviceUrl: `${serviceUrl}/wecom/callback` }),
        ...(callback.url !== undefined && { publicUrl: callback.url }),
      },
    }),
  }
}

async function storeChecks({ documents, events, jobs, dataDir }: Config): Promise<StoreCheck[]> {
  return [
    documents.kind === 'mongo'
      ? { name: 'documents', kind: 'MongoDB', ping: () => pingMongo(documents) }
      : { name: 'documents', kind: 'SQLite', ...(await fileCheck(dataDir, 'documents.sqlite')) },
    events.kind === 'clickhouse'
      ? { name: 'events', kind: 'ClickHouse', ping: () => pingClickhouse(events.url) }
      : { name: 'events', kind: 'chDB', ...(await fileCheck(dataDir, 'events')) },
    jobs.kind === 'bull'
      ? { name: 'jobs', kind: 'Redis', ping: async () => jobsText(await countRedisJobs(jobs.url, jobs.prefix)) }
      : { name: 'jobs', kind: said('进程内', 'in process'), ping: () => Promise.resolve() },
  ]
}

/** Groups that have jobs. */
function jobsText(groups: Readonly<Record<Group, JobCounts>>): string {
  const busy = Object.entries(groups).flatMap(([group, { waiting, active, delayed, failed }]) =>
    waiting + active + delayed + failed === 0 ? [] : [`${group} ${waiting}/${active}/${delayed}/${failed}`],
  )
  return busy.length === 0
    ? said('没有任务', 'no jobs')
    : said(`等待/在做/延后/失败：${busy.join('，')}`, `waiting/active/delayed/failed: ${busy.join(', ')}`)
}

async function pingMongo({ url, database }: { url: string; database: string }): Promise<void> {
  const store = await openMongoDocuments({ url, database })
  try {
    await store.ping()
  } finally {
    await store.close()
  }
}

/** An embedded store is there when its file is; one process holds it, so it is not opened to look. */
async function fileCheck(dataDir: string, name: string): Promise<Pick<StoreCheck, 'ping'>> {
  const path = join(dataDir, name)
  try {
    await access(path, constants.F_OK)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw err
  }
  return { ping: () => access(path, constants.R_OK | constants.W_OK) }
}
