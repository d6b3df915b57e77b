import type { Log } from '../../../src/log.js'
import type { SandboxClock } from '../../clock.js'
import type { App } from '../../identity.js'
import type { World } from '../../world/world.js'
import { allEndpoints } from '../wecom/endpoints.js'
import { openTokens } from '../wecom/tokens.js'
import { checkNamed, visibleReply } from '../wecom/visibility.js'
import { type Call, type Endpoint, type Endpoints, Refusal, type Reply } from './endpoint.js'
import type { CallFault, Faults } from './faults.js'
import { parseBody } from './json.js'
import { Bans, InFlight, Limiter } from './limits.js'

/** A call of the platform as it arrived. */
export type Asked = {
  path: string
  query: URLSearchParams
  contentType: string
  body: Buffer
  ip: string
  fault: CallFault | undefined
}
/** What is known of who called, also when the call is refused. */
type Caller = {
  app: App
  insideBlock: boolean
  /** The call is not in flight any more. */
  leave?: () => void
}
/** What goes out for one call. */
export type Answer = Caller & { errcode: number; errmsg: string; reply: Record<string, unknown> }

/** Edits of one customer, which must not overlap. */
const EDITS = new Set(['/cgi-bin/externalcontact/mark_tag', '/cgi-bin/externalcontact/remark'])
/** Refusals that say nothing against the caller's request, so they do not lead to a ban. */
const BLAMELESS = new Set([-1, 45009, 45033, 45035])

/** WeCom's own calls: who may make them and how often, and what they answer. */
export class Platform {
  readonly limiter: Limiter
  private readonly tokens: ReturnType<typeof openTokens>
  private readonly endpoints: ReadonlyMap<string, Endpoint>
  private readonly inFlight: InFlight
  private readonly bans: Bans
  private readonly edited = new Set<string>()

  constructor(
    private readonly parts: { world: World; clock: SandboxClock; limits: boolean; faults: Faults; log: Log },
  ) {
    const { world, limits } = parts
    const { seed, scenario } = world
    this.tokens = openTokens(world)
    const endpoints: Endpoints = { ...this.tokens.endpoints, ...allEndpoints(world, limits) }
    this.endpoints = new Map(Object.entries(endpoints))
    this.limiter = new Limiter(seed, scenario.behaviour.window, scenario.otherApps)
    this.inFlight = new InFlight(scenario.limits)
    this.bans = new Bans(scenario.limits)
  }

  /** The platform's clock, which may be wrong. */
  now(): Date {
    const { clock, faults } = this.parts
    return faults.skewMs === 0 ? clock.now() : new Date(clock.now().getTime() + faults.skewMs)
  }

  endpoint(path: string): Endpoint | undefined {
    return this.endpoints.get(path)
  }

  expireTokens(): void {
    this.tokens.expire(this.now())
  }

  answer(asked: Asked, endpoint: Endpoint): Answer {
    const now = this.now()
    const nowMs = this.parts.clock.now().getTime()
    const caller: Caller = { app: this.parts.world.identity.app, insideBlock: false }
    try {
      return { errcode: 0, ...this.judge(asked, endpoint, caller, now, nowMs), ...caller }
    } catch (err) {
      if (!(err instanceof Refusal)) {
        this.parts.log.error('sandbox endpoint failed', {
          path: asked.path,
          cause: err instanceof Error ? (err.stack ?? err.message) : String(err),
        })
        return { errcode: -1, errmsg: 'system busy', reply: {}, ...caller }
      }
      if (asked.fault?.kind !== 'errcode') {
        if (err.errcode === 40001) this.bans.wrongSecret(asked.ip, nowMs)
        if (!BLAMELESS.has(err.errcode) && endpoint.token !== false) this.bans.failingCall(caller.app.name, nowMs)
      }
      return { errcode: err.errcode, errmsg: err.message, reply: endpoint.empty ?? {}, ...caller }
    }
  }

  /**
   * Token presence, token validity, app and address, frequency, calls in flight, permission, parameters, business rules: in the
   * platform's order. @throws {Refusal}
   */
  private judge(
    asked: Asked,
    endpoint: Endpoint,
    caller: Caller,
    now: Date,
    nowMs: number,
  ): { errmsg: string; reply: Reply } {
    const { world, clock, limits } = this.parts
    const { path, query, contentType, body: raw, ip, fault } = asked
    if (fault?.kind === 'errcode') throw new Refusal(fault.errcode, 'injected fault')
    if (limits && this.bans.isBanned(`ip ${ip}`, nowMs)) throw new Refusal(45009, 'api freq out of limit')
    if (endpoint.token !== false) this.recognize(asked, caller, now)
    if (limits) this.admit(asked, endpoint, caller, nowMs)
    const { app } = caller
    checkPermission(app, path, endpoint)
    const { params: body, isMalformed } = parseBody(raw, contentType, world.scenario.behaviour.lenientJson)
    const params = { ...Object.fromEntries(query), ...body }
    delete params['access_token']
    checkNamed(world, app, path, params)
    if (limits && EDITS.has(path)) this.lockCustomer(String(params['external_userid']), caller)
    const call: Call = { params, raw, contentType, app, ip, now, speed: clock.speed }
    const work = (): Reply => visibleReply(world, app, path, endpoint.handle(call))
    const reply = endpoint.writes === true ? world.write(work) : work()
    const warned = isMalformed || fault?.kind === 'malformed_json_warning'
    return { errmsg: warned ? 'ok. Warning: wrong json format. ' : 'ok', reply }
  }

  /** Whose token it is. @throws {Refusal} when it is nobody's, or he may not call from there */
  private recognize({ query, ip }: Asked, caller: Caller, now: Date): void {
    const app = (caller.app = this.tokens.appOf(query.get('access_token'), now))
    if (app.disabled) throw new Refusal(50003, 'app disabled')
    if (app.trustedIps !== undefined && !app.trustedIps.includes(ip))
      throw new Refusal(60020, 'not allow to access from your ip')
  }

  /** Counts the call, and those of its path in flight. @throws {Refusal} when there are too many */
  private admit({ path, query, ip }: Asked, endpoint: Endpoint, caller: Caller, nowMs: number): void {
    const { name } = caller.app
    if (this.bans.isBanned(`app ${name}`, nowMs)) throw new Refusal(45009, 'api freq out of limit')
    const verdict = endpoint.unlimited === true ? 'ok' : this.limiter.take(path, name, ip, query, nowMs)
    if (verdict !== 'ok') {
      caller.insideBlock = verdict.refusal === 'blocked'
      throw new Refusal(45009, 'api freq out of limit')
    }
    if (!this.inFlight.enter(path)) throw new Refusal(45033, 'api concurrent out of limit')
    caller.leave = () => this.inFlight.leave(path)
  }

  /** One edit of a customer at a time; a second one that overlaps is refused. */
  private lockCustomer(externalUserId: string, caller: Caller): void {
    const { leave } = caller
    if (this.edited.has(externalUserId))
      throw new Refusal(this.parts.world.scenario.behaviour.concurrentEdit, 'api concurrent out of limit')
    this.edited.add(externalUserId)
    caller.leave = () => {
      this.edited.delete(externalUserId)
      leave?.()
    }
  }
}

/** Page 90312 and the reference's table of special secrets. @throws {Refusal} 48002 */
function checkPermission(app: App, path: string, endpoint: Endpoint): void {
  const allowed =
    app.kind === 'contact_sync'
      ? endpoint.forContactSync === true || endpoint.onlyContactSync === true
      : endpoint.onlyContactSync !== true &&
        (app.customerContact || endpoint.token === false || !path.startsWith('/cgi-bin/externalcontact/'))
  if (!allowed) throw new Refusal(48002, 'api forbidden')
}
