import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { hashKey } from '../../random.js'
import { listOpenReactions } from '../tags/reactions/list-open.js'
import { listFailedRefreshes, refreshNow } from '../tags/refresh-profiles.js'
import { PastQuery } from '../segments/ask-past.js'
import { listSegments } from '../segments/list-segments.js'
import { findMatching, MatchingQuery } from '../segments/find-matching.js'
import { explainEntry, explainSegment, explainTag } from '../tags/explain-tag.js'
import { listHeld } from '../journeys/list-held.js'
import { explainTouches, type Why, WhyQuery } from '../touches/explain-touches.js'
import { PersonQuery } from '../identity/find-person.js'
import { listPeople, PeopleQuery } from '../identity/list-people.js'
import { exportPerson } from '../identity/export-person.js'
import { ProfileQuery, ProfilesQuery, readProfile, readProfiles } from '../identity/read-profiles.js'
import { listBackups } from '../backup/list-backups.js'
import { type Backup, type Copying, makeBackup } from '../backup/make-backup.js'
import { PathQuery, showPath } from '../identity/show-path.js'
import { showPerson } from '../identity/show-person.js'
import { describeStatus } from './describe-status.js'
import { AuditQuery, listAudit, verifyAudit } from './audit.js'
import { pastHorizon } from './date-past.js'
import type { ServiceDeps } from './deps.js'
import type { RunAlone } from './with-lease.js'
import { countRejected, listRejected, RejectedQuery, ReplayInput, replayRejected } from '../ingest/rejected.js'
import { listUnknown } from '../ingest/unknown-events.js'
import { countOpenBatches, inboxAge, listStillLanes } from './lane-progress.js'
import { listTags } from '../tags/list-tags.js'
import { signOut } from '../guides/sign-out.js'
import { pressButton } from '../guides/guide-sidebar.js'
import type { DocumentStore } from '../../ports/document-store.js'
import { followPublished } from '../definitions/follow-published.js'
import { type Publication, type PublishOptions, withdrawContents } from '../definitions/publish-definitions.js'
import { ALL } from '../definitions/read-published.js'
import { Ways } from '../../domain/ways/definition.js'
import { applyWays, planWayFiles, type WayRow } from '../wecom/apply-ways.js'
import { countArrivals } from '../wecom/count-arrivals.js'
import { listTransfers } from '../wecom/list-transfers.js'
import { collectNow } from '../touches/collect-results.js'
import { SendingAction, switchSending } from '../touches/switch-sending.js'
import { listHeldTouches } from '../touches/held-touches.js'
import { stopContent } from '../touches/withdraw-content.js'
import { syncWecom } from '../wecom/sync-wecom.js'
import { transferCustomers } from '../wecom/transfer-customers.js'
import { ConflictError, InvalidInputError, messageOf } from '../../errors.js'
import { meant, said } from '../../said.js'

/** What the operations need of the running parts. */
export type OperationDeps = {
  deps: ServiceDeps
  documents: DocumentStore
  publish: (options: PublishOptions) => Promise<Publication[]>
  /** Waits until nobody else refreshes. */
  alone: RunAlone
  copying: Copying
}

/** Called with how much is done. */
export type OnProgress = (done: number) => void

/** read: changes nothing. live: changes the running business. file: changes definition files, as a proposal. */
export type Effect = 'read' | 'live' | 'file'
/** Whom an operation is meant for. Nothing asks yet: whoever has an API key, or the machine, may do all of them. */
export type Role = 'admin' | 'operator' | 'approver' | 'analyst' | 'manager' | 'guide'
/**
 * Whose data it may be about: everybody's; for a manager, only that of her departments; for a guide, only that of her own
 * customers; nobody's, since it speaks of definitions and figures.
 */
export type Scope = 'all' | 'departments' | 'own customers' | 'none'

/** What goes into the audit row. Neither may hold personal data of a customer but her profile number. */
type Recorded<I, R> = {
  /** What it was done to; `result` is absent when it was not done. */
  target: (input: I, result: R | undefined) => string
  /** The input with personal data left out; default: all of it. */
  input?: (input: I) => unknown
  /** Inputs that only look, of an operation that changes something: they leave no row. */
  looks?: (input: I) => boolean
}

/** Who may, how far, and what is recorded of it: of everything that changes something or reveals personal data, a row. */
type Rules<I, R> = { roles: readonly [Role, ...Role[]]; scope: Scope } & (
  | { effect: 'read'; reveals?: never; audit?: never }
  // It answers with what is known of a person whom the caller names, or names those of whom something is known.
  | { effect: 'read'; reveals: true; audit: Recorded<I, R> }
  | { effect: 'live' | 'file'; reveals?: never; audit: Recorded<I, R> }
)

type Operation<S extends z.ZodType, R> = Rules<z.infer<S>, R> & {
  input: S
  /** May take longer than a request should: answered piece by piece. */
  long: boolean
  run: (app: OperationDeps, input: z.infer<S>, onProgress: OnProgress) => Promise<R>
}

const WayInput = z.strictObject({ files: Ways, prune: z.boolean().default(false) })
const ContentIds = z.array(z.string().min(1)).max(100).default([])
const PublishInput = z
  .strictObject({
    correct: ContentIds.describe(
      said('这些内容，在途的旅程也改用现在的', 'contents that runs on their way have as they are now'),
    ),
    withdraw: ContentIds.describe(
      said(
        '谁都不再收到的内容；这时不看文件',
        'contents that nobody is sent any more; the files are not looked at then',
      ),
    ),
    keepJourneys: z
      .boolean()
      .default(false)
      .describe(said('旅程不动，只发布其他文件', 'journeys stay as they are; only all other files are published')),
  })
  .refine(({ correct, withdraw }) => correct.length === 0 || withdraw.length === 0, {
    message: said('要么发布文件，要么撤回内容', 'either files are published, or contents are withdrawn'),
    path: ['withdraw'],
  })
  .refine(({ correct, withdraw, keepJourneys }) => !keepJourneys || correct.length + withdraw.length === 0, {
    message: said('不能和 correct 或 withdraw 一起用', 'goes with neither correct nor withdraw'),
    path: ['keepJourneys'],
  })
/** The longest that an answer waits for the platform. */
const ASK_MS = 5_000
const LOOKERS = ['admin', 'operator', 'approver', 'analyst', 'manager'] as const
/** Who may see what is known of a person. */
const KNOWERS = ['admin', 'operator', 'analyst', 'manager'] as const
/** Answers with what is known of people. */
const revealing = { effect: 'read', reveals: true, roles: KNOWERS, scope: 'departments' } as const

/** Of a question about one person, named by whatever identifier. */
const ofSomebody = {
  target: ({ of }: { of: PersonQuery }, result: { profileId: number } | undefined) => nameOf(of, result?.profileId),
  input: ({ of }: { of: PersonQuery }) => ({ of: unnamed(of) }),
}

/**
 * What operators ask of a service, by name: the command line runs them on stores it opens itself, or over HTTP
 * (`POST /v1/<name>`) in the service that holds them. Inputs and results are JSON.
 */
export const operations = {
  publish: quick(PublishInput, publish, {
    effect: 'live',
    roles: ['admin', 'approver'],
    scope: 'none',
    audit: {
      target: ({ correct, withdraw }, done) =>
        done === undefined ? [...correct, ...withdraw].join(', ') : changedDefinitions(done),
    },
  }),
  status: quick(
    z.strictObject({}),
    async ({ deps, documents }) => describeStatus(deps, (await documents.unfit()).length),
    { effect: 'read', roles: LOOKERS, scope: 'none' },
  ),
  people: quick(PeopleQuery, async ({ deps }, query) => listPeople(deps, query), {
    ...revealing,
    audit: { target: ({ after }, result) => `${result?.rows.length ?? 0} people after profile ${after}` },
  }),
  person: quick(z.strictObject({ of: PersonQuery }), async ({ deps }, { of }) => showPerson(deps, of), {
    ...revealing,
    audit: ofSomebody,
  }),
  'person/path': quick(PathQuery, async ({ deps }, query) => showPath(deps, query), {
    ...revealing,
    audit: {
      target: ofSomebody.target,
      input: ({ of, event, days, last }) => ({ ...ofSomebody.input({ of }), event, days, last }),
    },
  }),
  'person/export': long(
    z.strictObject({ of: PersonQuery }),
    async ({ deps, documents }, { of }) => exportPerson(deps, documents, of),
    { effect: 'read', reveals: true, roles: ['admin', 'operator'], scope: 'departments', audit: ofSomebody },
  ),
  profiles: quick(ProfilesQuery, async ({ deps }, query) => readProfiles(deps, query), {
    ...revealing,
    audit: {
      target: ({ after }, result) => `${result?.profiles.length ?? 0} profiles after ${after}`,
      input: ({ after, limit, fields }) => ({ after, limit, fields }),
    },
  }),
  'profiles/get': quick(ProfileQuery, async ({ deps }, query) => readProfile(deps, query), {
    ...revealing,
    audit: {
      target: ofSomebody.target,
      input: ({ of, fields }) => ({ ...ofSomebody.input({ of }), fields }),
    },
  }),
  segments: long(z.strictObject({}), async ({ deps }) => listSegments(deps), {
    effect: 'read',
    roles: LOOKERS,
    scope: 'none',
  }),
  tags: quick(z.strictObject({}), async ({ deps }) => listTags(deps), {
    effect: 'read',
    roles: LOOKERS,
    scope: 'none',
  }),
  'tags/refresh': long(z.strictObject({ tags: z.array(z.string()).default([]) }), refreshTags, {
    effect: 'live',
    roles: ['admin', 'operator'],
    scope: 'all',
    audit: { target: ({ tags }) => (tags.length === 0 ? 'all' : tags.join(', ')) },
  }),
  'tags/explain': quick(
    z.strictObject({ tag: z.string(), person: PersonQuery, past: PastQuery.optional() }),
    async ({ deps }, { tag, person, past }) => explainTag(deps, tag, person, past),
    {
      ...revealing,
      audit: {
        target: ({ tag, person }, result) => `${tag}, ${nameOf(person, result?.profileId)}`,
        input: ({ tag, person, past }) => ({ tag, person: unnamed(person), ...(past !== undefined && { past }) }),
      },
    },
  ),
  'journeys/explain': quick(
    z.strictObject({ journey: z.string(), person: PersonQuery, past: PastQuery.optional() }),
    async ({ deps }, { journey, person, past }) => explainEntry(deps, journey, person, past),
    {
      ...revealing,
      audit: {
        target: ({ journey, person }, result) => `${journey}, ${nameOf(person, result?.profileId)}`,
        input: ({ journey, person, past }) => ({
          ...{ journey, person: unnamed(person) },
          ...(past !== undefined && { past }),
        }),
      },
    },
  ),
  'segments/who': long(MatchingQuery, async ({ deps }, query) => findMatching(deps, query), {
    ...revealing,
    audit: {
      target: ({ of }, result) =>
        `${'segment' in of ? of.segment : 'a rule'}${result?.result === 'known' ? `: ${result.people} people` : ''}`,
    },
  }),
  'segments/explain': quick(
    z.strictObject({ segment: z.string(), person: PersonQuery, past: PastQuery.optional() }),
    async ({ deps }, { segment, person, past }) => explainSegment(deps, segment, person, past),
    {
      ...revealing,
      audit: {
        target: ({ segment, person }, result) => `${segment}, ${nameOf(person, result?.profileId)}`,
        input: ({ segment, person, past }) => ({
          ...{ segment, person: unnamed(person) },
          ...(past !== undefined && { past }),
        }),
      },
    },
  ),
  past: quick(
    z.strictObject({}),
    async ({ deps }) => {
      const horizon = await pastHorizon(deps)
      /** Since when it is kept, and why not longer; neither where nothing was ever left out. */
      return horizon === undefined ? {} : { from: horizon.from.toISOString(), by: horizon.by }
    },
    { effect: 'read', roles: LOOKERS, scope: 'none' },
  ),
  'journeys/held': quick(z.strictObject({}), async ({ deps }) => listHeld(deps), {
    effect: 'read',
    roles: LOOKERS,
    scope: 'none',
  }),
  'touches/held': quick(z.strictObject({}), async ({ deps }) => listHeldTouches(deps.docs), {
    effect: 'read',
    roles: LOOKERS,
    scope: 'none',
  }),
  'tags/reactions': quick(z.strictObject({}), async ({ deps }) => listOpenReactions(deps), {
    effect: 'read',
    roles: LOOKERS,
    scope: 'none',
  }),
  'documents/unfit': quick(
    z.strictObject({}),
    async ({ documents }) => ({
      documents: (await documents.unfit()).map(({ collection, id, problems }) => ({ collection, id, problems })),
    }),
    { effect: 'read', roles: LOOKERS, scope: 'none' },
  ),
  why: quick(z.strictObject({ of: WhyQuery }), async ({ deps }, { of }) => explainNow(deps, of), {
    ...revealing,
    audit: {
      target: ({ of }, result) => ('touchId' in of ? `touch ${of.touchId}` : nameOf(of, result?.profileId)),
      input: ({ of }) => ({ of: 'touchId' in of ? of : unnamed(of) }),
    },
  }),
  sending: quick(
    z.strictObject({ action: SendingAction }),
    async ({ deps }, { action }) => ({
      mode: deps.sending.mode,
      ...(await switchSending(deps.docs, action, deps.clock.now())),
    }),
    {
      effect: 'live',
      roles: ['admin', 'operator'],
      scope: 'all',
      audit: { target: ({ action }) => action, looks: ({ action }) => action === 'status' },
    },
  ),
  'wecom/sync': long(z.strictObject({}), async ({ deps }, _input, onProgress) => syncWecom(deps, onProgress), {
    effect: 'live',
    roles: ['admin', 'operator'],
    scope: 'all',
    audit: { target: () => 'WeCom' },
  }),
  'wecom/known': quick(
    z.strictObject({}),
    async ({ deps }) => ({
      /** Follow relations of the last sync and since: about as many as the next one reads. */
      relations: await deps.docs.wecomRelations.count({ state: { $in: ['active', 'lost'] } }),
    }),
    { effect: 'read', roles: LOOKERS, scope: 'none' },
  ),
  'wecom/plan': long(WayInput, async ({ deps }, { files, prune }) => planWayFiles(deps, files, prune), {
    effect: 'read',
    roles: ['admin', 'operator', 'approver'],
    scope: 'none',
  }),
  'wecom/apply': long(WayInput, async ({ deps }, { files, prune }) => applyWays(deps, files, prune), {
    effect: 'live',
    roles: ['admin', 'approver'],
    scope: 'none',
    audit: { target: (_input, rows) => changedWays(rows ?? []) },
  }),
  'wecom/serving': quick(z.strictObject({}), async ({ deps }) => ({ userIds: await membersWithCustomers(deps) }), {
    effect: 'read',
    roles: ['admin', 'operator', 'manager'],
    scope: 'departments',
  }),
  'wecom/stats': quick(
    z.strictObject({ days: z.int().min(1).max(180).default(7) }),
    async ({ deps }, { days }) => countArrivals(deps, days),
    { effect: 'read', roles: KNOWERS, scope: 'departments' },
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
    {
      effect: 'live',
      roles: ['admin', 'operator', 'manager'],
      scope: 'departments',
      audit: {
        target: ({ from, to }, result) => `${from} → ${to}${result === undefined ? '' : `: ${result.asked}`}`,
        input: ({ from, to, kind, externalUserIds }) => ({ from, to, kind, customers: externalUserIds?.length }),
      },
    },
  ),
  'wecom/transfers': quick(z.strictObject({}), async ({ deps }) => listTransfers(deps), {
    effect: 'read',
    roles: ['admin', 'operator', 'manager'],
    scope: 'departments',
  }),
  'tasks/close': quick(
    z.strictObject({ guide: z.string().min(1), task: z.string().min(1), outcome: z.string().min(1) }),
    async ({ deps }, { guide, task, outcome }) => {
      await pressButton(deps, guide, task, outcome)
      return { ok: true }
    },
    {
      effect: 'live',
      roles: ['admin', 'guide'],
      scope: 'own customers',
      audit: { target: ({ task, outcome }) => `${task}: ${outcome}` },
    },
  ),
  'guides/sign-out': quick(
    z.strictObject({ guide: z.string().min(1).max(64).optional().describe('userid; absent: everybody') }),
    async ({ deps }, { guide }) => {
      await signOut(deps, guide)
      return { ok: true }
    },
    {
      effect: 'live',
      roles: ['admin', 'operator'],
      scope: 'none',
      audit: { target: ({ guide }) => guide ?? 'everybody' },
    },
  ),
  'ingest/rejected': quick(RejectedQuery, async ({ deps }, query) => listRejected(deps, query), {
    effect: 'read',
    reveals: true,
    roles: ['admin', 'operator'],
    scope: 'departments',
    audit: { target: ({ id }, result) => id ?? `${result?.items.length ?? 0} set aside` },
  }),
  'ingest/replay': quick(ReplayInput, async ({ deps }, input) => replayRejected(deps, input), {
    effect: 'live',
    roles: ['admin', 'operator'],
    scope: 'all',
    audit: {
      target: ({ items }) =>
        items
          .slice(0, 10)
          .map((i) => i.id)
          .join(', '),
      input: ({ items }) => ({ items: items.map((i) => i.id) }),
    },
  }),
  'ingest/unknown': quick(z.strictObject({}), async ({ deps }) => ({ events: await listUnknown(deps) }), {
    effect: 'read',
    roles: LOOKERS,
    scope: 'none',
  }),
  lanes: quick(
    z.strictObject({}),
    async ({ deps }) => ({
      still: await listStillLanes(deps),
      inbox: await inboxAge(deps),
      rejected: await countRejected(deps),
      /** Refreshes that were given up. */
      refreshes: await listFailedRefreshes(deps),
    }),
    { effect: 'read', roles: LOOKERS, scope: 'none' },
  ),
  inbox: quick(
    z.strictObject({}),
    async ({ deps }) => ({
      /** Batches that are accepted and not yet worked off. */
      waiting: await countOpenBatches(deps),
      /** Callbacks that are stored and not yet worked off. */
      callbacks: await deps.docs.callbacks.count({ state: { $in: ['urgent', 'accepted'] } }),
    }),
    { effect: 'read', roles: LOOKERS, scope: 'none' },
  ),
  backup: long(
    z.strictObject({
      movedTo: z
        .string()
        .max(1_000)
        .optional()
        .describe(said('随后要把文件移到哪里，只记下来', 'where its caller takes the file to; it is only noted')),
    }),
    backup,
    {
      effect: 'read',
      reveals: true,
      roles: ['admin'],
      scope: 'all',
      audit: { target: (_input, result) => result?.id ?? 'everything', input: () => ({}) },
    },
  ),
  'backup/list': quick(z.strictObject({}), async ({ deps, copying }) => listBackups(deps, copying), {
    effect: 'read',
    roles: ['admin', 'operator'],
    scope: 'none',
  }),
  'audit/list': quick(AuditQuery, async ({ deps }, query) => listAudit(deps, query), {
    effect: 'read',
    roles: ['admin', 'approver'],
    scope: 'none',
  }),
  'audit/verify': long(z.strictObject({}), async ({ deps }, _input, onProgress) => verifyAudit(deps, onProgress), {
    effect: 'read',
    roles: ['admin', 'approver'],
    scope: 'none',
  }),
} as const

export type Operations = typeof operations
export type OperationName = keyof Operations
export type OperationInput<N extends OperationName> = z.input<Operations[N]['input']>
export type OperationResult<N extends OperationName> = Awaited<ReturnType<Operations[N]['run']>>

/** Each writes one document alone, so that a backup may be cut before or after it. */
const OF_ONE_DOCUMENT: ReadonlySet<string> = new Set<OperationName>(['sending', 'tasks/close', 'guides/sign-out'])

function backup(
  app: OperationDeps,
  { movedTo }: { movedTo?: string | undefined },
  onProgress: OnProgress,
): Promise<Backup> {
  const several = Object.entries(operations).filter(
    ([name, { effect }]) => effect === 'live' && !OF_ONE_DOCUMENT.has(name),
  )
  return makeBackup(app, { movedTo, changing: new Set(several.map(([name]) => name)) }, onProgress)
}

async function publish(
  app: OperationDeps,
  { correct, withdraw, keepJourneys }: z.infer<typeof PublishInput>,
): Promise<Publication[]> {
  if (withdraw.length === 0) return app.publish({ correct, keepJourneys })
  const { deps } = app
  const done = await withdrawContents(deps, withdraw)
  await followPublished(deps)
  for (const contentId of withdraw) await stopContent(deps, contentId)
  return done
}

/** An answer that tells of an hour ago would be no answer: what is on its way is asked about first, if the platform says so soon. */
async function explainNow(deps: ServiceDeps, of: WhyQuery): Promise<Why> {
  const why = await explainTouches(deps, of)
  const ids = why.touches.filter((t) => t.state === 'created' || t.state === 'confirmed').map((t) => t.id)
  if (ids.length === 0) return why
  const dispatchIds = (await deps.docs.touches.getMany(ids)).flatMap((t) => t.dispatchId ?? [])
  const asked = new AbortController()
  const late = sleep(ASK_MS, undefined, { signal: asked.signal }).catch(() => undefined) // it was answered before
  try {
    await Promise.race([collectNow(deps, dispatchIds), late])
  } catch (err) {
    deps.log.warn('results not read for an answer', { cause: messageOf(err) })
  } finally {
    asked.abort()
  }
  return explainTouches(deps, of)
}

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
  if (!(await followPublished(deps)))
    throw new ConflictError(
      said(
        '已发布的定义由更新的程序写成，本进程读不懂 → 升级它',
        'a newer program published what this one cannot read → update it',
      ),
    )
  const { current } = deps.definitions
  const known = current.tags.map((t) => t.id)
  const problems = tags
    .filter((id) => !known.includes(id))
    .map((id) => {
      const hint = meant(id, known, '用 siyu tags list 看有哪些', 'siyu tags list shows what there is')
      return { path: 'tags', message: said(`没有标签 "${id}"`, `there is no tag "${id}"`), hint }
    })
  if (problems.length > 0) throw new InvalidInputError(said('这些标签不能重算', 'Tags cannot be refreshed'), problems)
  const chosen = new Set(tags.length === 0 ? current.evaluables.map((e) => e.id) : tags)
  const { changes, failed } = await refreshNow(
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
  if (failed !== undefined)
    throw new InvalidInputError(said('没能算完，其他重算照常', 'It could not be finished; other refreshes go on'), [
      { path: 'tags', message: failed },
    ])
  const profiles = await deps.docs.profiles.count({ mergedInto: { $exists: false } })
  return { tags: known.filter((id) => chosen.has(id)).length, profiles, changes }
}

/** A person as the audit names her: an identifier could be a phone number, of which only the kind is told. */
function nameOf(person: PersonQuery, profileId: number | undefined): string {
  const id = 'profileId' in person ? person.profileId : profileId
  if (id !== undefined) return `profile ${id}`
  return `somebody by ${'identifier' in person ? person.identifier.type : 'an identifier'}`
}

function unnamed(person: PersonQuery): object {
  if ('profileId' in person) return person
  return 'identifier' in person ? { identifier: { type: person.identifier.type } } : { value: 'an identifier' }
}

function changedDefinitions(done: readonly Publication[]): string {
  const changed = done.filter((d) => d.change !== 'unchanged')
  const nameOf = ({ kind, id }: Publication) => (id === ALL ? kind : id)
  const becomes = ({ change, version }: Publication) =>
    change === 'withdrawn' || change === 'corrected' ? change : `v${version}`
  return changed.map((d) => `${nameOf(d)} ${becomes(d)}`).join(', ')
}

function changedWays(rows: readonly WayRow[]): string {
  return rows.flatMap((r) => (r.result === 'done' ? `${r.action} ${r.id ?? r.remoteId}` : [])).join(', ')
}

function quick<S extends z.ZodType, R>(
  input: S,
  run: Operation<S, R>['run'],
  rules: Rules<z.infer<S>, R>,
): Operation<S, R> {
  return { input, long: false, run, ...rules }
}

function long<S extends z.ZodType, R>(
  input: S,
  run: Operation<S, R>['run'],
  rules: Rules<z.infer<S>, R>,
): Operation<S, R> {
  return { input, long: true, run, ...rules }
}
