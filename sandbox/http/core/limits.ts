import { unitOf } from '../../../src/random.js'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../src/time.js'
import type { Behaviour, LimitSettings, OtherApps } from '../../switches.js'

type Scope = 'corp' | 'app' | 'ip'
type LimitRow = {
  /** Absent: every API, each on its own. */
  paths?: readonly string[]
  /** Who shares it. */
  per: Scope
  /** Parameter whose values are counted apart, e.g. the key of a webhook. */
  by?: string
  windowMs: number
  calls: number
  source: string
}

/** Every frequency limit that counts calls. Person-times (app messages, app chats) are counted where messages are sent. */
export const LIMITS: readonly LimitRow[] = [
  { per: 'corp', windowMs: MINUTE_MS, calls: 10_000, source: 'page 90312 (2023-08-28): each API of a corp' },
  { per: 'corp', windowMs: HOUR_MS, calls: 150_000, source: 'page 90312' },
  { per: 'ip', windowMs: MINUTE_MS, calls: 20_000, source: 'page 90312: each API from one address' },
  { per: 'ip', windowMs: HOUR_MS, calls: 600_000, source: 'page 90312' },
  {
    paths: ['/cgi-bin/get_jsapi_ticket', '/cgi-bin/ticket/get'],
    per: 'corp',
    windowMs: HOUR_MS,
    calls: 400,
    source: 'page 90506',
  },
  {
    paths: ['/cgi-bin/get_jsapi_ticket', '/cgi-bin/ticket/get'],
    per: 'app',
    windowMs: HOUR_MS,
    calls: 100,
    source: 'page 90506',
  },
  { paths: ['/cgi-bin/appchat/create'], per: 'corp', windowMs: DAY_MS, calls: 1_000, source: 'page 90312' },
  { paths: ['/cgi-bin/appchat/update'], per: 'corp', windowMs: HOUR_MS, calls: 1_000, source: 'page 90312' },
  { paths: ['/cgi-bin/media/uploadimg'], per: 'corp', windowMs: DAY_MS, calls: 1_000, source: 'page 90256' },
  { paths: ['/cgi-bin/media/uploadimg'], per: 'corp', windowMs: 30 * DAY_MS, calls: 3_000, source: 'page 90256' },
  {
    paths: ['/cgi-bin/externalcontact/add_moment_task'],
    per: 'corp',
    windowMs: MINUTE_MS,
    calls: 10,
    source: 'page 95094',
  },
  {
    paths: ['/cgi-bin/webhook/send'],
    per: 'corp',
    by: 'key',
    windowMs: MINUTE_MS,
    calls: 20,
    source: 'page 91770: each webhook',
  },
]

/** Calls of one API at once; staff answers, no page gives them. Others: `limits.defaultLanes` of the scenario. */
export const AT_ONCE: Readonly<Record<string, number>> = {
  '/cgi-bin/externalcontact/mark_tag': 5,
  '/cgi-bin/externalcontact/remark': 5,
  '/cgi-bin/kf/sync_msg': 5,
}

/** Days are Beijing's. */
const BEIJING_OFFSET_MS = 8 * HOUR_MS
/** A sliding window is counted in so many slices, so it is at most a slice shorter than it should be: never stricter. */
const SLICES = 60

export type Verdict = 'ok' | { refusal: 'over' | 'blocked'; rule: LimitRow }

/**
 * Counts calls against the table. Over a limit the API is blocked for the rest of the window, or, with sliding windows,
 * for a whole one. In memory: a restart is as good as a new window.
 */
export class Limiter {
  private readonly rows = new Map<string, LimitRow[]>()
  private readonly counters = new Map<string, Counter>()
  private readonly others: OtherCalls

  constructor(
    seed: number,
    private readonly window: Behaviour['window'],
    otherApps: OtherApps,
  ) {
    this.others = new OtherCalls(seed, otherApps)
  }

  /** Counts one call, unless it is over a limit. */
  take(path: string, app: string, ip: string, params: URLSearchParams, nowMs: number): Verdict {
    const counters = this.rowsOf(path).map((row) => this.counterOf(row, path, app, ip, params))
    for (const counter of counters) {
      if (nowMs < counter.blockedUntilMs) return { refusal: 'blocked', rule: counter.row }
    }
    for (const counter of counters) {
      const foreign = counter.isBasic ? this.others.between(path, counter.sinceMs(nowMs), nowMs) : 0
      if (counter.used(nowMs) + foreign >= counter.row.calls) {
        counter.block(nowMs)
        return { refusal: 'over', rule: counter.row }
      }
    }
    for (const counter of counters) counter.add(nowMs)
    return 'ok'
  }

  /** What is used now, the fullest first; for the page. */
  usage(nowMs: number): { name: string; used: number; most: number; blockedUntilMs: number | undefined }[] {
    return [...this.counters]
      .map(([name, counter]) => ({
        name,
        used: counter.used(nowMs),
        most: counter.row.calls,
        blockedUntilMs: nowMs < counter.blockedUntilMs ? counter.blockedUntilMs : undefined,
      }))
      .filter((u) => u.used > 0 || u.blockedUntilMs !== undefined)
      .sort((a, b) => b.used / b.most - a.used / a.most || (a.name < b.name ? -1 : 1))
  }

  private rowsOf(path: string): LimitRow[] {
    let rows = this.rows.get(path)
    if (rows === undefined) {
      rows = LIMITS.filter((row) => row.paths === undefined || row.paths.includes(path))
      this.rows.set(path, rows)
    }
    return rows
  }

  private counterOf(row: LimitRow, path: string, app: string, ip: string, params: URLSearchParams): Counter {
    const who = row.per === 'corp' ? 'corp' : row.per === 'app' ? app : ip
    // Two rows may share a window: the basic one, and a narrower one of the API itself.
    const key = `${path} ${who} ${row.by === undefined ? '' : (params.get(row.by) ?? '')}${row.calls}/${row.windowMs}`
    let counter = this.counters.get(key)
    if (counter === undefined) {
      counter = this.window === 'fixed' ? new FixedCounter(row) : new SlidingCounter(row)
      this.counters.set(key, counter)
    }
    return counter
  }
}

abstract class Counter {
  blockedUntilMs = -Infinity
  readonly isBasic: boolean

  constructor(readonly row: LimitRow) {
    this.isBasic = row.paths === undefined && row.per === 'corp'
  }

  abstract sinceMs(nowMs: number): number
  abstract used(nowMs: number): number
  abstract add(nowMs: number): void
  abstract block(nowMs: number): void
}

class FixedCounter extends Counter {
  private startMs = -Infinity
  private calls = 0

  sinceMs(nowMs: number): number {
    return Math.floor((nowMs + BEIJING_OFFSET_MS) / this.row.windowMs) * this.row.windowMs - BEIJING_OFFSET_MS
  }

  used(nowMs: number): number {
    return this.startMs === this.sinceMs(nowMs) ? this.calls : 0
  }

  add(nowMs: number): void {
    const startMs = this.sinceMs(nowMs)
    if (this.startMs !== startMs) {
      this.startMs = startMs
      this.calls = 0
    }
    this.calls++
  }

  block(nowMs: number): void {
    this.blockedUntilMs = this.sinceMs(nowMs) + this.row.windowMs
  }
}

class SlidingCounter extends Counter {
  private readonly slices = new Float64Array(SLICES)
  private last = -Infinity
  private calls = 0

  sinceMs(nowMs: number): number {
    return nowMs - this.row.windowMs
  }

  used(nowMs: number): number {
    this.turnTo(nowMs)
    return this.calls
  }

  add(nowMs: number): void {
    this.turnTo(nowMs)
    this.slices[this.last % SLICES]!++
    this.calls++
  }

  block(nowMs: number): void {
    this.blockedUntilMs = nowMs + this.row.windowMs
  }

  private turnTo(nowMs: number): void {
    const slice = Math.floor(nowMs / (this.row.windowMs / SLICES))
    if (slice - this.last >= SLICES) {
      this.slices.fill(0)
      this.calls = 0
    } else {
      for (let i = this.last + 1; i <= slice; i++) {
        this.calls -= this.slices[i % SLICES]!
        this.slices[i % SLICES] = 0
      }
    }
    this.last = Math.max(this.last, slice)
  }
}

/** Calls of the company's other apps: their share of the hour's quota, in bursts of their share of a minute's. */
class OtherCalls {
  private readonly hours = new Map<string, ReadonlySet<number>>()

  constructor(
    private readonly seed: number,
    private readonly settings: OtherApps,
  ) {}

  between(path: string, fromMs: number, toMs: number): number {
    const share = this.settings.byPath[path] ?? this.settings.share
    if (share === 0) return 0
    const [minute, hour] = LIMITS as readonly [LimitRow, LimitRow]
    const perMs = (share * minute.calls) / MINUTE_MS
    const busyMinutes = Math.round(hour.calls / minute.calls)
    let calls = 0
    for (let atMs = Math.floor(fromMs / MINUTE_MS) * MINUTE_MS; atMs < toMs; atMs += MINUTE_MS) {
      if (!this.isBusy(path, atMs, busyMinutes)) continue
      calls += perMs * (Math.min(toMs, atMs + MINUTE_MS) - Math.max(fromMs, atMs))
    }
    return Math.floor(calls)
  }

  private isBusy(path: string, minuteMs: number, busyMinutes: number): boolean {
    const hour = Math.floor(minuteMs / HOUR_MS)
    const key = `${hour} ${path}`
    let busy = this.hours.get(key)
    if (busy === undefined) {
      const draws = Array.from({ length: 60 }, (_, i) => ({ i, at: unitOf(this.seed, 'other apps', path, hour, i) }))
      busy = new Set(
        draws
          .sort((a, b) => a.at - b.at)
          .slice(0, busyMinutes)
          .map((d) => d.i),
      )
      this.hours.set(key, busy)
    }
    return busy.has(Math.floor((minuteMs % HOUR_MS) / MINUTE_MS))
  }
}

/** Calls in flight, per API and per customer who is being edited. */
export class InFlight {
  private readonly counts = new Map<string, number>()

  constructor(private readonly settings: LimitSettings) {}

  /** @returns whether there was room; then `leave` must follow */
  enter(path: string): boolean {
    const now = this.counts.get(path) ?? 0
    if (now >= this.widthOf(path)) return false
    this.counts.set(path, now + 1)
    return true
  }

  leave(path: string): void {
    const now = (this.counts.get(path) ?? 0) - 1
    if (now > 0) this.counts.set(path, now)
    else this.counts.delete(path)
  }

  private widthOf(path: string): number {
    return this.settings.lanes[path] ?? AT_ONCE[path] ?? this.settings.defaultLanes
  }
}

/** Staff (2021): too many wrong secrets ban an address for an hour, too many failing calls ban the app. */
export class Bans {
  private readonly failures = new Map<string, { startMs: number; calls: number; untilMs: number }>()

  constructor(private readonly settings: LimitSettings) {}

  isBanned(who: string, nowMs: number): boolean {
    return nowMs < (this.failures.get(who)?.untilMs ?? -Infinity)
  }

  wrongSecret(ip: string, nowMs: number): void {
    this.count(`ip ${ip}`, this.settings.wrongSecretsPerHour, nowMs)
  }

  failingCall(app: string, nowMs: number): void {
    this.count(`app ${app}`, this.settings.failingCallsPerHour, nowMs)
  }

  private count(who: string, most: number, nowMs: number): void {
    let entry = this.failures.get(who)
    if (entry === undefined || nowMs >= entry.startMs + HOUR_MS) {
      entry = { startMs: nowMs, calls: 0, untilMs: -Infinity }
      this.failures.set(who, entry)
    }
    entry.calls++
    if (entry.calls >= most) entry.untilMs = nowMs + HOUR_MS
  }
}
