import { formatProblem, InvalidInputError } from '../errors.js'
import type { OperationInput } from '../services/runtime/operations.js'
import { runOperation } from '../services/runtime/run-operation.js'
import { arePublished } from '../services/definitions/read-published.js'
import type { App } from './compose.js'

/**
 * What files a service makes live when it starts, as an operation that is on record: all where no journey was ever published;
 * where it works alone, all but the journeys when they differ. Several processes run on what is published.
 */
export async function takeOverFiles({ config, deps, loaded, operations }: App): Promise<void> {
  const { docs, log } = deps
  const publish = (input: OperationInput<'publish'>) => runOperation(operations, 'system', 'publish', input)
  if ((await docs.published.findOne({ kind: 'journey' })) === undefined) {
    await publish({})
    return
  }
  const arePublic = await arePublished(deps, loaded.files)
  if (arePublic === true) return
  if (arePublic === false && config.documents.kind === 'mongo') {
    log.warn('files differ from what is published: siyu publish makes them live')
    return
  }
  try {
    await publish({ keepJourneys: true })
  } catch (err) {
    // Files that cannot be made live while runs need what they change never stop a service that has published ones to run on.
    if (!(err instanceof InvalidInputError)) throw err
    for (const p of err.problems) log.warn('files left alone, what is published runs', { problem: formatProblem(p) })
  }
}
