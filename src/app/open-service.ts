import { setTimeout as sleep } from 'node:timers/promises'
import { createApp } from './compose.js'
import { type Config, type Env, loadConfig, type Section } from '../config.js'
import type { SourceRecordInput } from '../domain/events/record.js'
import { InvalidInputError, type Problem } from '../errors.js'
import { type Log, quietLog } from '../log.js'
import { type Taken, takeRecords } from '../services/ingest/take-records.js'
import type { OperationInput, OperationName, OperationResult } from '../services/runtime/operations.js'
import { atOnce } from '../services/runtime/with-lease.js'
import { runOperation } from '../services/runtime/run-operation.js'
import { localUser } from './local-user.js'
import { naming } from './name-setting.js'
import { isQuestion, requireData } from './require-data.js'
import { callService, findService } from './running-service.js'

export type ServiceOptions = {
  config: string
  env: Env
  signal?: AbortSignal
  log?: Log
  /** Which command asks, as in `COMMANDS`: one that only asks makes no store. */
  command?: string
}

/** The stores and what can be asked of them, wherever they are open. */
export interface Service {
  readonly config: Config
  /** Address of the running service that does the work; absent when this command does it. */
  readonly url?: string
  /** Other processes may work on the same stores now. */
  readonly shared: boolean
  call<N extends OperationName>(
    name: N,
    input: OperationInput<N>,
    onProgress?: (done: number) => void,
  ): Promise<OperationResult<N>>
  /** Hands records over; the same ones again are the same batch. At most 1,000. Resolves to what of them cannot be used. */
  take(records: readonly SourceRecordInput[]): Promise<Pick<Taken, 'accepted' | 'rejected' | 'warnings'>>
  /** Resolves when everything handed over has been worked off; `onProgress` hears how many batches are left. */
  drain(onProgress: (left: number) => void): Promise<void>
  close(): Promise<void>
}

const POLL_MS = 300

/** Talks to the service that holds the embedded stores, when one runs; otherwise opens the stores here. */
export async function openService(options: ServiceOptions): Promise<Service> {
  const config = await loadConfig({ file: options.config, env: options.env, without: await unneeded(options.command) })
  const service = (await openRunning(config, options)) ?? (await openHere(config, options))
  return {
    ...service,
    call: (name, input, onProgress) => naming(options.config, service.call(name, input, onProgress)),
  }
}

/** Who only asks what is stored needs no secret of an outside system. */
async function unneeded(command: string | undefined): Promise<readonly Section[]> {
  if (command === undefined || command.startsWith('wecom ') || !(await isQuestion(command))) return []
  return ['wecom', 'wechaty', 'http', 'jobs']
}

async function openRunning(config: Config, { signal }: ServiceOptions): Promise<Service | undefined> {
  const running = await findService(config)
  if (running === undefined) return undefined
  const stop = signal === undefined ? {} : { signal }
  const call: Service['call'] = async (name, input, onProgress) => {
    const progress = onProgress === undefined ? {} : { onProgress }
    // The other side is this program, of the same version.
    return (await callService(running, `/v1/${name}`, input, { ...stop, ...progress })) as never
  }
  return {
    config,
    url: running.url,
    shared: false,
    call,
    take: (records) => asTaken(callService(running, '/v1/records', { records }, stop) as Promise<Taken>), // of this version, too
    drain: async (onProgress) => {
      for (;;) {
        const { waiting } = await call('inbox', {})
        onProgress(waiting)
        if (waiting === 0) return
        await sleep(POLL_MS, undefined, stop)
      }
    },
    close: () => Promise.resolve(),
  }
}

/** Where none can be used, that is an error which says why of each. */
async function asTaken(taking: Promise<Taken>): Promise<Pick<Taken, 'accepted' | 'rejected' | 'warnings'>> {
  try {
    return await taking
  } catch (err) {
    if (!(err instanceof InvalidInputError)) throw err
    const byIndex = new Map<number, Problem[]>()
    for (const problem of err.problems) {
      const [, index, path = ''] = /^records\.(\d+)\.?(.*)$/s.exec(problem.path) ?? []
      if (index === undefined) throw err
      byIndex.set(Number(index), [...(byIndex.get(Number(index)) ?? []), { ...problem, path }])
    }
    return { accepted: 0, rejected: [...byIndex].map(([index, problems]) => ({ index, problems })) }
  }
}

async function openHere(config: Config, options: ServiceOptions): Promise<Service> {
  const { signal, log = quietLog } = options
  await requireData(config, options)
  const app = await createApp({ config, log })
  // On stores that nobody else can reach nothing else evaluates: this process takes no jobs.
  const operations = app.shared ? app.operations : { ...app.operations, alone: atOnce }
  const who = localUser()
  const call: Service['call'] = (name, input, onProgress) => runOperation(operations, who, name, input, onProgress)
  return {
    config,
    shared: app.shared,
    call,
    take: (records) => asTaken(takeRecords(app.deps, records)),
    drain: async (onProgress) => {
      const poll = setInterval(() => {
        // Only for the bar: what is wrong with the store, the work itself finds out.
        call('inbox', {}).then(
          ({ waiting }) => onProgress(waiting),
          () => undefined,
        )
      }, POLL_MS)
      try {
        for (let waiting = Infinity; waiting > 0 && signal?.aborted !== true;) {
          const isMine = await app.runLane('process-batches', signal)
          waiting = (await call('inbox', {})).waiting
          onProgress(waiting)
          // Another process works it off, or it can soon be taken over.
          if (waiting > 0 && (app.shared || !isMine)) await sleep(POLL_MS)
        }
      } finally {
        clearInterval(poll)
      }
    },
    close: () => app.close(),
  }
}
