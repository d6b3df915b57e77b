import { ConflictError, messageOf } from '../../errors.js'
import type { Log } from '../../log.js'
import type { Collection } from '../../ports/document-store.js'
import type { Meta } from '../../stored/runtime.js'

/** A lease is taken over when nobody has renewed it for this long, by the clock of the one who takes it. */
export const LEASE_MS = 30_000
const RENEW_MS = LEASE_MS / 3
/** A holder that could not renew for this long stops before anybody may take over. */
const STOP_MS = 2 * RENEW_MS

export type LeaseOptions = {
  meta: Collection<Meta>
  log: Log
  /** This process among those that share the stores; another one after a restart. */
  owner: string
  /** Monotonic, in milliseconds. */
  elapsedMs: () => number
  /** No other process can reach these stores: what somebody else holds is held by the dead. */
  alone: boolean
  /** Whether the clock of the day cannot be trusted just now: then nobody works here. See `watchClock`. */
  isClockAhead?: () => boolean
}

/** Leases as one process sees them: which it works under, and since when those of others have stood still. */
export type Leases = LeaseOptions & {
  working: Set<string>
  seen: Map<string, { fence: number; beat: number; sinceMs: number }>
}

export type Held = {
  /** Aborts when the lease is lost. */
  signal: AbortSignal
  /** Rises with each holder: what depends on the lease names it. */
  fence: number
  /** Whether it was not renewed for so long that others may soon take it over, before `signal` can tell; or the clock leapt. */
  isLate: () => boolean
}

/** Runs work so that nobody else is at the same. */
export type RunAlone = <T>(work: (held: Held) => Promise<T>) => Promise<T>

/** Runs work that nobody else is at, here or in another process. @throws {ConflictError} where somebody is */
export type Once = <T>(name: string, work: () => Promise<T>) => Promise<T>

/**
 * Keeps lanes from working while the stores are copied, in every process: `ingest` the one that takes records in, `all` nearly all.
 * Refreshes are kept out by `RunAlone`, in which this is to be run.
 */
export type Pause = <T>(which: 'ingest' | 'all', work: (held: Held) => Promise<T>) => Promise<T>

/** Where nothing else works. */
export const atOnce: RunAlone = (work) => work({ signal: new AbortController().signal, fence: 0, isLate: () => false })

type Stored = NonNullable<Meta['lease']>

/** One per process. */
export function createLeases(options: LeaseOptions): Leases {
  return { ...options, working: new Set(), seen: new Map() }
}

/**
 * Runs `work` while this process holds the lease of that name, once at a time; when somebody works under it, does nothing,
 * since they find the same work in the documents. No clock of the day counts: a lease has a beat, which rises with every
 * renewal, and is taken over when fence and beat stood still for 30 s while this process looked.
 *
 * @returns whether the work was done
 * @throws {ConflictError} when the lease was lost while working (a process that slept too long): its writes are keyed or
 * name what they were made of, so that those of the new holder stand
 */
export async function withLease(leases: Leases, name: string, work: (held: Held) => Promise<void>): Promise<boolean> {
  const isClockAhead = () => leases.isClockAhead?.() === true
  if (leases.working.has(name) || isClockAhead()) return false
  leases.working.add(name)
  try {
    const renewed = { atMs: leases.elapsedMs() }
    const fence = await take(leases, name)
    if (fence === undefined) return false
    const lost = new AbortController()
    const isLate = () => isClockAhead() || (!leases.alone && leases.elapsedMs() - renewed.atMs >= STOP_MS)
    // What nobody else can take is kept until the process ends.
    const renewal = leases.alone ? undefined : renew(leases, name, fence, lost, renewed)
    let isLost = false
    try {
      await work({ signal: lost.signal, fence, isLate })
    } finally {
      clearInterval(renewal)
      // Before it is given back: what a renewal on its way hears after that says nothing.
      isLost = lost.signal.aborted
      if (!leases.alone) {
        const wasHeld = await leases.meta.update(idOf(name), { $set: { 'lease.owner': FREE } }, heldBy(leases, fence))
        isLost ||= !wasHeld
      }
    }
    if (isLost) throw new ConflictError(`lost the lease "${name}" while working`)
    return true
  } finally {
    leases.working.delete(name)
  }
}

const FREE = ''

/** Gives back every lease. For whoever knows that all who hold one are dead: it has locked the data directory that they shared. */
export async function freeLeases(meta: Collection<Meta>): Promise<void> {
  await meta.updateMany({ 'lease.owner': { $exists: true } }, { $set: { 'lease.owner': FREE } })
}

function idOf(name: string): string {
  return `lease:${name}`
}

function heldBy({ owner }: Leases, fence: number) {
  return { 'lease.owner': owner, 'lease.fence': fence }
}

/** Resolves to the fence under which it is held now. */
async function take(leases: Leases, name: string): Promise<number | undefined> {
  const { meta, owner, alone } = leases
  const stored = (await meta.get(idOf(name)))?.lease
  if (stored === undefined) {
    const lease: Stored = { owner, fence: 1, beat: 0 }
    return (await meta.insert([{ _id: idOf(name), lease }])).refused.length > 0 ? undefined : lease.fence
  }
  if (alone && stored.owner === owner) return stored.fence
  // Its own, and nobody works under it here: it could not be given back.
  const isFree = stored.owner === FREE || stored.owner === owner
  if (!isFree && !alone && !stoodStill(leases, name, stored)) return undefined
  const fence = stored.fence + 1
  const unchanged = { 'lease.owner': stored.owner, 'lease.fence': stored.fence, 'lease.beat': stored.beat }
  const taken = await meta.update(idOf(name), { $set: { lease: { owner, fence, beat: 0 } } }, unchanged)
  if (taken && !isFree && !alone) leases.log.warn('lease taken over', { lease: name, from: stored.owner, fence })
  return taken ? fence : undefined
}

/** Looks at leases that are to be taken soon, so that those whose holders died have stood still for as long by then. */
export async function watchLeases(leases: Leases, names: readonly string[]): Promise<void> {
  for (const { _id, lease } of await leases.meta.getMany(names.map(idOf)))
    if (lease !== undefined) stoodStill(leases, _id.slice(idOf('').length), lease)
}

/** Whether what rises with every sign of life has not moved for so long, while this process looked. */
export function stoodStill(
  { seen, elapsedMs }: Leases,
  name: string,
  { fence, beat }: Pick<Stored, 'fence' | 'beat'>,
  ms = LEASE_MS,
): boolean {
  const nowMs = elapsedMs()
  const before = seen.get(name)
  if (before?.fence === fence && before.beat === beat) return nowMs - before.sinceMs >= ms
  seen.set(name, { fence, beat, sinceMs: nowMs })
  return false
}

function renew(
  leases: Leases,
  name: string,
  fence: number,
  lost: AbortController,
  renewed: { atMs: number },
): NodeJS.Timeout {
  const { meta, elapsedMs, log } = leases
  return setInterval(() => {
    const askedMs = elapsedMs()
    meta.update(idOf(name), { $inc: { 'lease.beat': 1 } }, heldBy(leases, fence)).then(
      (held) => {
        if (held) renewed.atMs = askedMs
        else lost.abort()
      },
      (err: unknown) => {
        log.warn('lease not renewed', { lease: name, cause: messageOf(err) })
        if (elapsedMs() - renewed.atMs >= STOP_MS) lost.abort()
      },
    )
  }, RENEW_MS)
}
