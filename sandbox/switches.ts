import { z } from 'zod'

/**
 * What a scenario says about the platform itself: its apps, its limits, how slow it is, and which of two behaviours it
 * shows where nobody outside knows which is the real one.
 */

const Ratio = z.number().min(0).max(1)
const Path = z.string().startsWith('/', 'a path starts with /, e.g. /cgi-bin/user/get')

export const CallbackSecrets = z.strictObject({
  token: z.string().regex(/^[A-Za-z0-9]{1,32}$/, 'token: 1–32 letters and digits'),
  encodingAesKey: z.string().regex(/^[A-Za-z0-9]{43}$/, 'encodingAesKey: 43 letters and digits'),
})
export type CallbackSecrets = z.infer<typeof CallbackSecrets>

const Visible = z
  .strictObject({ members: z.array(z.string()).default([]), departments: z.array(z.int()).default([]) })
  .describe('Members and departments (with those below them) that the app sees')

export const AppSettings = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, 'name: 1–32 of a–z 0–9 _ -'),
  kind: z
    .enum(['self_built', 'agency', 'third_party'])
    .default('self_built')
    .describe('Id conversion is refused to self-built apps'),
  agentId: z.int().min(1).optional().describe('Default: 1000002 and on'),
  secret: z.string().min(1).max(64).optional().describe('Default: from the seed'),
  callback: CallbackSecrets.optional().describe('Default: from the seed'),
  callbackUrl: z.url().optional(),
  customerContact: z.boolean().default(true).describe('False: the customer-contact APIs answer 48002'),
  visible: Visible.optional().describe('Default: everybody'),
  trustedIps: z.array(z.string()).optional().describe('Calls from elsewhere are 60020. Default: any address'),
  disabled: z.boolean().default(false).describe('True: 50003'),
})
export type AppSettings = z.infer<typeof AppSettings>

export const Apps = z
  .array(AppSettings)
  .min(1)
  .refine((apps) => new Set(apps.map((a) => a.name)).size === apps.length, 'two apps have the same name')
  .default(() => [AppSettings.parse({ name: 'siyu' })])
  .describe('The first one is the one that programs get by default')

/** Everything here is open: no page says which of the two the platform does. */
export const Behaviour = z.strictObject({
  callbackRetry: z
    .enum(['any_non_200', 'connection_failure'])
    .default('any_non_200')
    .describe(
      'What makes a callback be sent again: also a status that is not 200, or only silence and lost connections',
    ),
  callbackDeliveries: z
    .union([z.literal(3), z.literal(4)])
    .default(4)
    .describe('How often a callback is sent at most'),
  callbackTimestamps: z
    .enum(['clock', 'wall'])
    .optional()
    .describe('timestamp in the query. Default: wall for a clock that runs faster than real time, else the clock'),
  window: z
    .enum(['fixed', 'sliding'])
    .default('fixed')
    .describe('45009 blocks until the fixed window ends, or for a whole window after the first call too many'),
  quotaStatus: z
    .enum(['at_sending', 'at_creation'])
    .default('at_sending')
    .describe('Customers over their quota: status 3 when the member sends, or in fail_list at once'),
  getByUserUserid: z.boolean().default(true).describe('batch/get_by_user takes userid as well as userid_list'),
  webhookTextBytes: z
    .union([z.literal(2048), z.literal(5120)])
    .default(2048)
    .describe('Longest text of a group webhook'),
  dispatchMs: z
    .int()
    .min(0)
    .default(0)
    .describe('How long a new mass message or moment answers 41063 / 41079: being dispatched'),
  resultsSettleMs: z
    .int()
    .min(0)
    .default(0)
    .describe('How long after a member sent a mass message its customers still show as unsent'),
  groupSender: z
    .enum(['owners', 'required'])
    .default('owners')
    .describe('A mass message to groups without a sender: goes to their owners, or is refused'),
  refuseLongCardTexts: z
    .boolean()
    .default(false)
    .describe('Template card texts above the advised length are refused, not shown as they are'),
  skipVerifyAdds: z
    .enum(['at_once', 'half_first'])
    .default('at_once')
    .describe('A customer who needs no consent is a friend at once, or half until the member adds her back'),
  tagsShowLateMs: z.int().min(0).default(0).describe('How long tags just marked stay invisible'),
  concurrentEdit: z
    .union([z.literal(45033), z.literal(45035)])
    .default(45033)
    .describe('Answer to a second edit of the same customer while one is in flight'),
  lenientJson: z
    .boolean()
    .default(false)
    .describe('Malformed JSON is read as far as it goes, and answered "ok. Warning: wrong json format. "'),
})
export type Behaviour = z.infer<typeof Behaviour>

/** Limits that pages do not fix, or that differ from company to company. The others are in `http/limits.ts`. */
export const LimitSettings = z.strictObject({
  lanes: z
    .record(Path, z.int().min(1))
    .default({})
    .describe('Calls of one API at once, above which 45033; beside those of http/limits.ts'),
  defaultLanes: z.int().min(1).default(40).describe('For APIs without a figure of their own'),
  accounts: z
    .int()
    .min(1)
    .optional()
    .describe('Members the company may have: 200 app messages a day for each. Default: 200, or all members if more'),
  acquisitionQuota: z.int().min(0).default(1_000).describe('Customers that acquisition links may add (获客助手)'),
  wrongSecretsPerHour: z.int().min(1).default(20).describe('After so many the caller IP is banned for an hour'),
  failingCallsPerHour: z.int().min(1).default(2_000).describe('After so many the app is banned for an hour'),
})
export type LimitSettings = z.infer<typeof LimitSettings>

export const OtherApps = z
  .strictObject({
    share: Ratio.default(0).describe("Part of each API's quota that other apps of the company use up, in bursts"),
    byPath: z.record(Path, Ratio).default({}).describe('Instead of `share` for these APIs'),
  })
  .describe('Rates are per company: whoever behaves still meets 45009')
export type OtherApps = z.infer<typeof OtherApps>

export const Latency = z
  .strictObject({ p50Ms: z.number().positive(), p99Ms: z.number().positive() })
  .refine((l) => l.p99Ms >= l.p50Ms, 'p99Ms must not be below p50Ms')
  .describe('How long replies take (log-normal), by the clock; a stepped clock does not wait')
export type Latency = z.infer<typeof Latency>

/** The platform's part of a scenario. */
export const platformSettings = {
  apps: Apps,
  behaviour: Behaviour.default(() => Behaviour.parse({})),
  limits: LimitSettings.default(() => LimitSettings.parse({})),
  otherApps: OtherApps.default(() => OtherApps.parse({})),
  latency: Latency.optional(),
}
