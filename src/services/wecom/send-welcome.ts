import { setTimeout as sleep } from 'node:timers/promises'
import type { WecomEventOf } from '../../domain/wecom/event.js'
import { chooseWelcome, type WelcomeAttachment, type WelcomeRule } from '../../domain/wecom/welcome.js'
import type { Profile } from '../../domain/identity/profile.js'
import { shownValue } from '../../domain/tags/definition.js'
import type { Content } from '../../domain/content/content.js'
import type { WelcomeAttachment as Sent } from '../../ports/wecom.js'
import { hashKey } from '../../random.js'
import { DAY_MS, SECOND_MS } from '../../time.js'
import type { Welcome } from '../../stored/wecom.js'
import type { ServiceDeps } from '../runtime/deps.js'
import { linkOf, renderContent } from '../../domain/content/render.js'
import { isStopped } from '../touches/switch-sending.js'

/** A welcome code lives this long from the event, by the platform's clock (page 92137). */
const CODE_LIFE_MS = 20 * SECOND_MS
/** The platform's clock and ours may differ: it decides, and asking late does no harm. */
const CLOCK_TOLERANCE_MS = 30 * SECOND_MS
const ASK_AGAIN_MS = 400
const MAX_REQUESTS = 50
/** Temporary media live 3 days. */
const MEDIA_LIFE_MS = 2 * DAY_MS

type Added = WecomEventOf<'contact'> & { welcomeCode: string }

/**
 * Greets a new customer, at most once: that it is asked for is stored before the request, and a code works once, so a
 * request whose answer was lost is asked again until the code has expired. Why one was not sent is stored too.
 */
export async function sendWelcome(deps: ServiceDeps, added: Added, storedAt: Date): Promise<void> {
  const { docs, clock, log } = deps
  const _id = hashKey(32, 'welcome', added.welcomeCode)
  const base = { _id, userId: added.userId, externalUserId: added.externalUserId, addedAt: added.at, at: clock.now() }
  const known = await docs.welcomes.get(_id)
  if (known !== undefined && known.state !== 'sending') return
  const plan = await planWelcome(deps, added, storedAt)
  if (plan.kind === 'drop') {
    // Asked for before a crash, and the code has expired since.
    const state = known === undefined ? 'dropped' : 'unknown'
    const dropped: Welcome = { ...base, state, reason: plan.reason, ...plan.named }
    if (known === undefined) await docs.welcomes.insert([dropped])
    else await finish(deps, dropped)
    log.info('welcome not sent', { externalUserId: added.externalUserId, reason: plan.reason })
    return
  }
  const asked: Welcome = { ...base, state: 'sending', ...plan.named }
  if (known === undefined && (await docs.welcomes.insert([asked])).refused.length > 0) return // another process has it
  const attachments = await sentAttachments(deps, plan.rule, plan.content)
  const until = deadline(added, storedAt)
  let mayBeSent = known !== undefined
  for (let requests = 1; ; requests++) {
    const outcome = await deps.wecom.sendWelcome(added.welcomeCode, plan.text, attachments)
    const end = endOf(outcome, mayBeSent)
    mayBeSent ||= outcome.kind === 'unknown'
    if (end === undefined && requests < MAX_REQUESTS && clock.now().getTime() + ASK_AGAIN_MS < until.getTime()) {
      await sleep(ASK_AGAIN_MS)
      continue
    }
    const { state, reason }: End = end ?? {
      state: mayBeSent ? 'unknown' : 'dropped',
      reason: 'reason' in outcome ? outcome.reason : 'code_expired',
    }
    await finish(deps, { ...asked, state, at: clock.now(), ...(reason !== undefined && { reason }) })
    log.info('welcome', { externalUserId: added.externalUserId, state, reason })
    return
  }
}

/** What was found out first stands: a code works once, so whoever asks again later is told less. */
async function finish({ docs }: ServiceDeps, { _id, ...ended }: Welcome): Promise<void> {
  await docs.welcomes.update(_id, { $set: ended }, { state: 'sending' })
}

type End = { state: Welcome['state']; reason?: string }

/** What an answer settles; `undefined` when it is worth asking again. @param mayBeSent - an earlier request may have sent it */
function endOf(outcome: Awaited<ReturnType<ServiceDeps['wecom']['sendWelcome']>>, mayBeSent: boolean): End | undefined {
  switch (outcome.kind) {
    case 'sent':
      return { state: 'sent' }
    case 'delivered_before':
      return mayBeSent ? { state: 'sent' } : { state: 'refused', reason: 'chat_started' }
    case 'expired':
      return mayBeSent ? { state: 'unknown', reason: 'code_expired' } : { state: 'dropped', reason: 'code_expired' }
    case 'refused':
      return { state: 'refused', reason: outcome.reason }
    case 'again':
    case 'unknown':
      return undefined
  }
}

type Named = { ruleId?: string; contentId?: string }
type Plan =
  | { kind: 'drop'; reason: string; named: Named }
  | { kind: 'send'; rule: WelcomeRule; content: Content; text: string; named: Named }

async function planWelcome(deps: ServiceDeps, added: Added, storedAt: Date): Promise<Plan> {
  const { clock, sending, brand, definitions } = deps
  const now = clock.now()
  const drop = (reason: string, named: Named = {}): Plan => ({ kind: 'drop', reason, named })
  if (now > deadline(added, storedAt)) return drop('code_expired')
  const profile = await findProfile(deps, added.externalUserId)
  const rule = chooseWelcome(definitions.current.welcome, {
    userId: added.userId,
    state: added.state,
    tags: profile === undefined ? new Map() : await tagsOf(deps, profile._id),
    now,
    timeZone: brand.timeZone,
  })
  if (rule === undefined) return drop('no_rule')
  const named = { ruleId: rule.id, ...(rule.content !== undefined && { contentId: rule.content }) }
  if (rule.content === undefined) return drop('rule_says_nothing', named)
  const content = definitions.current.contents.get(rule.content)
  if (content === undefined) return drop('no_content', named)
  if (definitions.current.withdrawn.has(rule.content)) return drop('content_withdrawn', named)
  if (profile?.optedOutAt !== undefined) return drop('opted_out', named)
  if (await isStopped(deps)) return drop('sending_stopped', named)
  if (sending.mode === 'off') return drop('sending_off', named)
  if (sending.mode === 'dry') return drop('dry_mode', named)
  if (sending.mode === 'allow_list') {
    const names = [added.externalUserId, ...(profile?.identifiers.map((i) => i.value) ?? [])]
    if (!names.some((name) => sending.allowList.includes(name))) return drop('not_on_allow_list', named)
  }
  return { kind: 'send', rule, content, text: renderContent(content, { brand: brand.name }), named }
}

/** By the platform's time of the event, or by ours of its arrival when our clock is ahead. */
function deadline(added: Added, storedAt: Date): Date {
  const skewed = Math.min(storedAt.getTime(), added.at.getTime() + CLOCK_TOLERANCE_MS)
  return new Date(Math.max(added.at.getTime(), skewed) + CODE_LIFE_MS)
}

async function findProfile({ docs }: ServiceDeps, externalUserId: string): Promise<Profile | undefined> {
  const link = await docs.identifiers.get(`external_userid:${externalUserId}`)
  const profile = link === undefined ? undefined : await docs.profiles.get(link.profileId)
  return profile?.mergedInto === undefined ? profile : docs.profiles.get(profile.mergedInto)
}

async function tagsOf({ docs, definitions, clock }: ServiceDeps, profileId: number): Promise<Map<string, string>> {
  const held = (await docs.profileTags.get(profileId))?.tags ?? {}
  const named = new Map(definitions.current.tags.map((tag) => [tag.id, tag]))
  return new Map(Object.entries(held).map(([id, { v }]) => [id, shownValue(named.get(id), v, clock.now())]))
}

async function sentAttachments(deps: ServiceDeps, rule: WelcomeRule, content: Content): Promise<Sent[]> {
  const link = linkOf(content, deps.linkBase)
  const own: Sent[] = link === undefined ? [] : [{ kind: 'link', ...link }]
  return [...own, ...(await Promise.all(rule.attachments.map((a) => toSent(deps, a))))]
}

async function toSent(deps: ServiceDeps, attachment: WelcomeAttachment): Promise<Sent> {
  if ('link' in attachment) return { kind: 'link', ...attachment.link }
  if ('image' in attachment) {
    const { image } = attachment
    return 'url' in image
      ? { kind: 'image', url: image.url }
      : { kind: 'image', mediaId: await mediaIdOf(deps, image.file) }
  }
  const { title, appId, page, image } = attachment.miniprogram
  return { kind: 'miniprogram', title, appId, page, imageMediaId: await mediaIdOf(deps, image.file) }
}

/** The media id under which a file was uploaded lately; otherwise it is uploaded now. */
async function mediaIdOf({ docs, clock, wecom }: ServiceDeps, file: string): Promise<string> {
  const _id = `media:${file}`
  const known = await docs.meta.get(_id)
  const now = clock.now()
  if (known?.text !== undefined && known.at !== undefined && now.getTime() - known.at.getTime() < MEDIA_LIFE_MS)
    return known.text
  const text = await wecom.uploadImage(file)
  await docs.meta.updateEach([{ id: _id, update: { $set: { text, at: now } }, upsert: true }])
  return text
}
