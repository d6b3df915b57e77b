import { z } from 'zod'
import { hashKey } from '../../random.js'
import { refreshNow } from '../tags/refresh-profiles.js'
import { explainEntry, explainTag } from '../tags/explain-tag.js'
import { explainTouches, WhyQuery } from '../touches/explain-touches.js'
import { PersonQuery } from '../identity/find-person.js'
import type { ServiceDeps } from './deps.js'
import { listTags } from '../tags/list-tags.js'
import type { Publication } from '../definitions/publish-definitions.js'
import { Ways } from '../../domain/ways/definition.js'
import { applyWays, planWayFiles } from '../wecom/apply-ways.js'
import { countArrivals } from '../wecom/count-arrivals.js'
import { listTransfers } from '../wecom/list-transfers.js'
import { SendingAction, switchSending } from '../touches/switch-sending.js'
import { syncWecom } from '../wecom/sync-wecom.js'
import { transferCustomers } from '../wecom/transfer-customers.js'
import { InvalidInputError } from '../../errors.js'
import { nearest } from '../../yaml-file.js'

/** What the operations need of the running parts. */
export type OperationDeps = {
  deps: ServiceDeps
  publish: () => Promise<Publication[]>
  alone: <T>(work: () => Promise<T>) => Promise<T>
}

/** Called with how much is done. */
type OnProgress = (done: number) => void

type Operation<S extends z.ZodType, R> = {
  input: S
  /** May take longer than a request should: answered piece by piece. */
  long: boolean
  run: (app: OperationDeps, input: z.infer<S>, onProgress: OnProgress) => Promise<R>
}

const WayInput = z.strictObject({ files: Ways, prune: z.boolean().default(false) })

/**
 * What operators ask of a service, by name: the command line runs them on stores it opens itself, or over HTTP
 * (`POST /v1/<name>`) in the service that holds them. Inputs and results are JSON.
 */
export const operations = {
  publish: quick(z.strictObject({}), async (app): Promise<Publication[]> => app.publish()),
  tags: quick(z.strictObject({}), async ({ deps }) => listTags(deps)),
  'tags/refresh': long(z.strictObject({ tags: z.array(z.string()).default([]) }), refreshTags),
  'tags/explain': quick(z.strictObject({ tag: z.string(), person: PersonQuery }), async ({ deps }, { tag, person }) =>
    explainTag(deps, tag, person),
  ),
  'journeys/explain': quick(
    z.strictObject({ journey: z.string(), person: PersonQuery }),
    async ({ deps }, { journey, person }) => explainEntry(deps, journey, person),
  ),
  why: quick(z.strictObject({ of: WhyQuery }), async ({ deps }, { of }) => explainTouches(deps, of)),
  sending: quick(z.strictObject({ action: SendingAction }), async ({ deps }, { action }) => ({
    mode: deps.sending.mode,
    ...(await switchSending(deps.docs, action, deps.clock.now())),
  })),
  'wecom/sync': long(z.strictObject({}), async ({ deps }, _input, onProgress) => syncWecom(deps, onProgress)),
  'wecom/known': quick(z.strictObject({}), async ({ deps }) => ({
    /** Follow relations of the last sync and since: about as many as the next one reads. */
    relations: await deps.docs.wecomRelations.count({ state: { $in: ['active', 'lost'] } }),
  })),
  'wecom/plan': long(WayInput, async ({ deps }, { files, prune }) => planWayFiles(deps, files, prune)),
  'wecom/apply': long(WayInput, async ({ deps }, { files, prune }) => applyWays(deps, files, prune)),
  'wecom/serving': quick(z.strictObject({}), async ({ deps }) => ({ userIds: await membersWithCustomers(deps) })),
  'wecom/stats': quick(z.strictObject({ days: z.int().min(1).max(180).default(7) }), async ({ deps }, { days }) =>
    countArrivals(deps, days),
  ),
  'wecom/transfer': quick(
    z.strictObject({
      from: z.string().min(1),
      to: z.string().min(1),
      kind: z.enum(['onjob', 'resigned']),
      externalUserIds: z.array(z.string().min(1)).min(1).optional(),
      message: z.string().max(200).optional(),
    }),
    async ({ deps }, { externalUserIds, message, ...request }) =>
      transferCustomers(deps, {
        ...request,
        ...(externalUserIds !== undefined && { externalUserIds }),
        ...(message !== undefined && { message }),
      }),
  ),
  'wecom/transfers': quick(z.strictObject({}), async ({ deps }) => listTransfers(deps)),
  inbox: quick(z.strictObject({}), async ({ deps }) => ({
    /** Batches that are accepted and not yet worked off. */
    waiting: await deps.docs.batches.count({ state: { $in: ['accepted', 'planned'] } }),
    /** Callbacks that are stored and not yet worked off. */
    callbacks: await deps.docs.callbacks.count({ state: { $in: ['urgent', 'accepted'] } }),
  })),
} as const

export type Operations = typeof operations
export type OperationName = keyof Operations
export type OperationInput<N extends OperationName> = z.input<Operations[N]['input']>
export type OperationResult<N extends OperationName> = Awaited<ReturnType<Operations[N]['run']>>

/** Members who have customers, as far as the mirror knows. */
async function membersWithCustomers({ docs }: ServiceDeps): Promise<string[]> {
  const serving: string[] = []
  for await (const members of docs.wecomMembers.scan({})) {
    for (const { _id: userId } of members)
      if ((await docs.wecomRelations.findOne({ userId, state: 'active' })) !== undefined) serving.push(userId)
  }
  return serving
}

async function refreshTags(
  { deps, alone }: OperationDeps,
  { tags }: { tags: string[] },
  onProgress: OnProgress,
): Promise<{ tags: number; profiles: number; changes: number }> {
  const { current } = deps.definitions
  const known = current.tags.map((t) => t.id)
  const problems = tags
    .filter((id) => !known.includes(id))
    .map((id) => {
      const near = nearest(id, known)
      const hint = near === undefined ? 'siyu tags list' : `是不是 did you mean "${near}"?`
      return { path: 'tags', message: `没有标签 there is no tag "${id}"`, hint }
    })
  if (problems.length > 0) throw new InvalidInputError('Tags cannot be refreshed', problems)
  const chosen = new Set(tags.length === 0 ? current.evaluables.map((e) => e.id) : tags)
  const changes = await refreshNow(
    deps,
    {
      _id: `operator:${hashKey(16, deps.clock.now().getTime(), ...chosen)}`,
      kind: 'all',
      cause: 'operator',
      ...(tags.length > 0 && { ids: tags }),
    },
    alone,
    onProgress,
  )
  const profiles = await deps.docs.profiles.count({ mergedInto: { $exists: false } })
  return { tags: known.filter((id) => chosen.has(id)).length, profiles, changes }
}

function quick<S extends z.ZodType, R>(input: S, run: Operation<S, R>['run']): Operation<S, R> {
  return { input, long: false, run }
}

function long<S extends z.ZodType, R>(input: S, run: Operation<S, R>['run']): Operation<S, R> {
  return { input, long: true, run }
}
