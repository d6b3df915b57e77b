import { hashKey } from '../../../random.js'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../time.js'

/** Who goes first when calls wait for the same limit. */
export const PRIORITIES = ['welcome', 'callback', 'interactive', 'send', 'sync'] as const
export type Priority = (typeof PRIORITIES)[number]

/**
 * Messages of one app to one member; what goes beyond is dropped **silently** (errcode 0). The client spaces them; whoever
 * wants to know beforehand counts by these.
 * @see 发送应用消息, developer.work.weixin.qq.com/document/path/90236 (read 2026-08)
 */
export const APP_MESSAGES_PER_MEMBER = { perMinute: 30, perHour: 1_000 } as const

/** Customers in one `add_msg_template`. @see document/path/92135 (read 2026-08) */
export const MASS_MESSAGE_MAX_RECIPIENTS = 10_000

/**
 * What is counted together: one API of the company; everything this address sends; one app; one receiver of one app; one
 * webhook.
 */
type Scope = 'corp' | 'ip' | 'app' | 'member' | 'key'
type Rule = { scope: Scope; calls: number; windowMs: number; burstRatio?: number }

/** Calls of one API at the same time: where to begin, and how far it may be tried. */
export type AtOnce = { start: number; most: number }

type Row = {
  rules: readonly Rule[]
  atOnce?: AtOnce
  /** Whatever the caller's priority is. */
  priority?: Priority
  source: string
}

const perMinute = (scope: Scope, calls: number, burstRatio?: number) => rule(scope, calls, MINUTE_MS, burstRatio)
const perHour = (scope: Scope, calls: number, burstRatio?: number) => rule(scope, calls, HOUR_MS, burstRatio)
const perDay = (scope: Scope, calls: number) => rule(scope, calls, DAY_MS, 0.5)
const perMonth = (scope: Scope, calls: number) => rule(scope, calls, 30 * DAY_MS, 0.5)

/**
 * Nearly every API. Whether the limit of an address (20,000 / 600,000) is meant for each API or for all together is told
 * both ways: counted together here, the stricter reading.
 * @see 访问频率限制, developer.work.weixin.qq.com/document/path/90312 and 90454 (read 2026-08)
 */
const BASIC: readonly Rule[] = [
  perMinute('corp', 10_000),
  perHour('corp', 150_000),
  perMinute('ip', 20_000),
  perHour('ip', 600_000),
]

/**
 * Nothing is published about calls at a time. Staff and developers name 5 for writes to customers, one SDK "about 5" for reads, and
 * 40 were fine on `user/get`: an API of which nothing is known begins with 5 and is tried, one more at a time, up to 20.
 */
const UNKNOWN: AtOnce = { start: 5, most: 20 }
const NARROW: AtOnce = { start: 5, most: 5 }

const row = (source: string, rules: readonly Rule[], rest: Omit<Row, 'source' | 'rules'> = {}): Row => ({
  source,
  rules,
  ...rest,
})

/** Everything that is not basic, by path below `/cgi-bin/`. Pages: developer.work.weixin.qq.com/document/path/… (read 2026-08). */
const TABLE: Readonly<Record<string, Row>> = {
  'externalcontact/mark_tag': row('5 at once: staff answer', BASIC, { atOnce: NARROW }),
  'externalcontact/remark': row('5 at once: staff answer', BASIC, { atOnce: NARROW }),
  'kf/sync_msg': row('5 at once: staff answer; stricter without a token from the event', BASIC, { atOnce: NARROW }),
  'user/get': row('40 at once were fine, 400 were 45033', BASIC, { atOnce: { start: 40, most: 40 } }),
  'externalcontact/send_welcome_msg': row('page 92137: within 20 s', BASIC, { priority: 'welcome' }),
  'externalcontact/add_msg_template': row('page 92135', BASIC, { priority: 'send' }),
  'externalcontact/remind_groupmsg_send': row('page 97610', BASIC, { priority: 'send' }),
  'externalcontact/add_moment_task': row('page 95094: 10 a minute', [...BASIC, perMinute('corp', 10, 0.5)], {
    priority: 'send',
  }),
  // Not counted as a basic call. The daily account limit × 200 person-times is far above what brands send to guides.
  'message/send': row(
    'page 90236: 30 a minute and 1,000 an hour to one member',
    [
      perMinute('member', APP_MESSAGES_PER_MEMBER.perMinute, 0.5),
      perHour('member', APP_MESSAGES_PER_MEMBER.perHour, 0.5),
    ],
    { priority: 'send' },
  ),
  'appchat/create': row('page 90245: 1,000 a day', [...BASIC, perDay('corp', 1_000)]),
  'appchat/update': row('page 90454: 1,000 an hour', [...BASIC, perHour('corp', 1_000, 0.5)]),
  // 20,000 person-times a minute and 300,000 an hour; a call does not say how many people a group has.
  'appchat/send': row('page 90248', BASIC, { priority: 'send' }),
  'media/uploadimg': row('page 90256: 1,000 a day, 3,000 a month', [
    ...BASIC,
    perDay('corp', 1_000),
    perMonth('corp', 3_000),
  ]),
  get_jsapi_ticket: row('page 90506: 400 an hour', [perHour('corp', 400, 0.5), perHour('app', 100, 0.5)]),
  'ticket/get': row('page 90506: 400 an hour, 100 for one app', [perHour('corp', 400, 0.5), perHour('app', 100, 0.5)]),
  'checkin/getcheckindata': row('page 90454: 600 a minute', [perMinute('corp', 600)]),
  'oa/getapprovaldata': row('page 90454: 600 a minute', [perMinute('corp', 600)]),
  'webhook/send': row('page 99110: 20 a minute for each webhook', [perMinute('key', 20, 0.5)], { priority: 'send' }),
  'webhook/upload_media': row('page 99110: the key is the only secret', [perMinute('key', 20, 0.5)]),
  // Counted at the code, not at the caller.
  'auth/getuserinfo': row('page 90312: exempt', []),
  gettoken: row('page 91039: asked for once in two hours; unpublished', [perMinute('corp', 60, 0.5)], {
    priority: 'welcome',
  }),
}

/** One token bucket, as the quota store keeps it. */
export type Bucket = {
  key: string
  /** Calls at once. */
  capacity: number
  refillPerMs: number
  /** Of the one receiver or webhook: others need not wait when it is empty. */
  own: boolean
  /** Shared with the other apps of the company, so that our share of it is learnt. */
  shared: boolean
}
export type Plan = { api: string; atOnce: AtOnce; buckets: readonly Bucket[]; priority?: Priority }

/** Of every limit this much is used: clocks differ, and calls travel. */
const MARGIN_RATIO = 0.95
/**
 * Whether the platform's windows are fixed or sliding is unknown. A bucket whose burst plus refill fits one window is
 * safe under both.
 */
const BURST_RATIO = 0.1

/** How many may run at once, and the buckets one call needs. `agentId`: whose call it is. */
export function planOf(
  call: { api: string; query?: Record<string, string | number>; body?: unknown },
  agentId: number,
): Plan {
  const known = Object.hasOwn(TABLE, call.api) ? TABLE[call.api] : undefined
  const rules = known?.rules ?? BASIC
  const buckets = rules.flatMap((each) =>
    subjectsOf(each.scope, call, agentId).map((subject) => toBucket(each, subject)),
  )
  return {
    api: call.api,
    atOnce: known?.atOnce ?? UNKNOWN,
    buckets,
    ...(known?.priority && { priority: known.priority }),
  }
}

function subjectsOf(
  scope: Scope,
  { api, query, body }: { api: string; query?: Record<string, string | number>; body?: unknown },
  agentId: number,
): string[] {
  switch (scope) {
    case 'corp':
      return [api]
    case 'ip':
      return ['']
    case 'app':
      return [`${api}:${agentId}`]
    case 'member':
      return receiversIn(body).map((userId) => `${api}:${agentId}:${userId}`)
    case 'key':
      return [`${api}:${hashKey(16, 'webhook', String(query?.['key'] ?? ''))}`] // the key is a secret
  }
}

/** The platform compares userids without regard to case. Departments, tags and `@all` cannot be counted by member. */
function receiversIn(body: unknown): string[] {
  const toUser = (body as { touser?: unknown } | undefined)?.touser
  if (typeof toUser !== 'string' || toUser === '' || toUser === '@all') return []
  return [...new Set(toUser.toLowerCase().split('|'))]
}

function toBucket({ scope, calls, windowMs, burstRatio = BURST_RATIO }: Rule, subject: string): Bucket {
  const used = calls * MARGIN_RATIO
  const capacity = Math.max(1, Math.floor(used * burstRatio))
  return {
    key: `${scope}:${subject}:${windowMs}`,
    capacity,
    refillPerMs: (used - capacity) / windowMs,
    own: scope === 'member' || scope === 'key',
    shared: scope === 'corp',
  }
}

function rule(scope: Scope, calls: number, windowMs: number, burstRatio?: number): Rule {
  return { scope, calls, windowMs, ...(burstRatio !== undefined && { burstRatio }) }
}
