import {
  type AcquisitionLink,
  channelOf,
  type ContactWay,
  type JoinWay,
  type WayKind,
  type Ways,
} from './definition.js'
import { onDuty } from './staff.js'

/** What WeCom holds, or should hold, of a way: plain fields to compare. */
export type WaySpec = {
  way: {
    name: string
    scene: 'qr_code' | 'mini_program'
    state: string
    skipVerify: boolean
    userIds: string[]
    departmentIds: number[]
  }
  join_way: {
    name: string
    scene: 'qr_code' | 'mini_program'
    state: string
    chatIds: string[]
    createsGroups: boolean
    groupBaseName: string | null
    groupBaseNumber: number | null
  }
  link: {
    name: string
    userIds: string[]
    departmentIds: number[]
    skipVerify: boolean
    prefer: 'friends' | string[] | null
  }
}

/** One way as the files want it. */
export type WantedWay = { [K in WayKind]: { kind: K; id: string; spec: WaySpec[K] } }[WayKind]
/** One way as WeCom shows it. */
export type FoundWay = { [K in WayKind]: { kind: K; remoteId: string; spec: WaySpec[K] } }[WayKind]

export type WayAction =
  | 'create'
  | 'update'
  | 'unchanged'
  | 'delete'
  /** In WeCom, in no file, and left alone. */
  | 'unmanaged'
  /** Cannot be changed to what the file says. */
  | 'blocked'
export type PlannedWay = {
  kind: WayKind
  /** Of the file; absent for what is in no file. */
  id?: string
  /** Name in WeCom. */
  name: string
  action: WayAction
  remoteId?: string
  /** Fields that differ. */
  changes: string[]
}

/** What the files want at this instant: shifts decide who is on duty. */
export function wantedWays(files: Ways, at: Date, timeZone: string, unavailable: ReadonlySet<string>): WantedWay[] {
  const staff = (w: ContactWay | AcquisitionLink) => onDuty(w, at, timeZone, unavailable)
  return [
    ...files.ways.map((w): WantedWay => ({
      kind: 'way',
      id: w.id,
      spec: {
        name: w.name,
        scene: w.scene,
        state: channelOf(w),
        skipVerify: w.skipVerify,
        userIds: staff(w),
        departmentIds: [...w.departments].sort((a, b) => a - b),
      },
    })),
    ...files.joinWays.map((w): WantedWay => ({ kind: 'join_way', id: w.id, spec: joinSpec(w) })),
    ...files.links.map((w): WantedWay => ({
      kind: 'link',
      id: w.id,
      spec: {
        name: w.name,
        userIds: staff(w),
        departmentIds: [...w.departments].sort((a, b) => a - b),
        skipVerify: w.skipVerify,
        prefer: Array.isArray(w.prefer) ? [...w.prefer].sort() : (w.prefer ?? null),
      },
    })),
  ]
}

function joinSpec(w: JoinWay): WaySpec['join_way'] {
  const { name, scene, groups, createsGroups, groupBaseName = null, groupBaseNumber = null } = w
  return { name, scene, state: channelOf(w), chatIds: groups, createsGroups, groupBaseName, groupBaseNumber }
}

/**
 * What must be done so that WeCom holds what the files say. A way is known by the id that was stored for it; without one,
 * as after a crash between making and storing it, by its channel code (ways) or its name (links).
 *
 * @param known - remote ids by `wayKey`
 * @param prune - delete what is in no file
 */
export function planWays(
  wanted: readonly WantedWay[],
  found: readonly FoundWay[],
  known: ReadonlyMap<string, string>,
  prune: boolean,
): PlannedWay[] {
  const left = new Map(found.map((f) => [`${f.kind}:${f.remoteId}`, f]))
  const claimed = new Set([...known].map(([key, remoteId]) => `${key.split('/')[0]}:${remoteId}`))
  const rows = wanted.map((want): PlannedWay => {
    const remoteId = known.get(wayKey(want.kind, want.id))
    const match =
      (remoteId === undefined ? undefined : left.get(`${want.kind}:${remoteId}`)) ??
      [...left].find(([key, f]) => !claimed.has(key) && isSame(want, f))?.[1]
    const row = { kind: want.kind, id: want.id, name: want.spec.name }
    if (match === undefined) return { ...row, action: 'create', changes: [] }
    left.delete(`${match.kind}:${match.remoteId}`)
    const changes = differences(want.spec, match.spec)
    const action =
      changes.length === 0 ? 'unchanged' : want.kind === 'way' && changes.includes('scene') ? 'blocked' : 'update'
    return { ...row, action, remoteId: match.remoteId, changes }
  })
  const others = [...left.values()].map(({ kind, remoteId, spec }): PlannedWay => ({
    kind,
    name: spec.name,
    remoteId,
    action: prune ? 'delete' : 'unmanaged',
    changes: [],
  }))
  return [...rows, ...others]
}

export function wayKey(kind: WayKind, id: string): string {
  return `${kind}/${id}`
}

function isSame(want: WantedWay, found: FoundWay): boolean {
  if (want.kind === 'way' && found.kind === 'way') return want.spec.state === found.spec.state
  return want.kind === 'link' && found.kind === 'link' && want.spec.name === found.spec.name
}

/** What the file does not say (`null`) is left to WeCom. */
function differences(want: WantedWay['spec'], found: FoundWay['spec']): string[] {
  const other = found as Record<string, unknown>
  return Object.entries(want)
    .filter(([field, value]) => value !== null && JSON.stringify(value) !== JSON.stringify(other[field]))
    .map(([field]) => field)
}
