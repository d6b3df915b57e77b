import { z } from 'zod'
import type { ProbeAnswer, WecomProbe } from '../../ports/wecom-probe.js'
import { said } from '../../said.js'
import { SECOND_MS } from '../../time.js'
import { about, type Finding } from '../runtime/finding.js'

const MAX_SKEW_MS = 30 * SECOND_MS

export type Subject = {
  corpId: string
  agentId: number
  hasContactSyncSecret: boolean
  /** Members known to have customers; absent when nobody looked. */
  serving?: readonly string[]
}

const CHECKS = {
  reach: about('wecom.reach', said('接口连通', 'API reachable')),
  clock: about('clock', said('本机时钟', 'clock')),
  credentials: about('wecom.credentials', said('企业 ID 与 Secret', 'credentials')),
  ip: about('wecom.ip', said('可信 IP', 'trusted IP')),
  agent: about('wecom.agent', 'AgentId'),
  range: about('wecom.range', said('可见范围', 'visible range')),
  contact: about('wecom.contact', said('客户联系权限', 'customer contact')),
  sync: about('wecom.contact_sync', said('通讯录同步 Secret', 'contact-sync secret')),
}
type Check = keyof typeof CHECKS

const APP_PAGE = { zh: '管理后台 → 应用管理 → 该应用', en: '应用管理 → the app' }
const FIXES: Readonly<Record<number, { check: Check; found: string; fix: string }>> = {
  40013: {
    check: 'credentials',
    found: said('企业 ID 不对（40013）', 'the corp id is wrong (40013)'),
    fix: said(
      '对照 我的企业 → 企业信息 → 企业ID，改 wecom.corpId',
      'compare wecom.corpId with 我的企业 → 企业信息 → 企业ID',
    ),
  },
  40001: {
    check: 'credentials',
    found: said('Secret 错误或已重置（40001）', 'the secret is wrong or was reset (40001)'),
    fix: said(
      `${APP_PAGE.zh} → Secret，重新复制到 wecom.secret`,
      `copy it to wecom.secret anew: ${APP_PAGE.en} → Secret`,
    ),
  },
  40091: {
    check: 'credentials',
    found: said('Secret 属于别的企业（40091）', 'the secret belongs to another company (40091)'),
    fix: said(
      `${APP_PAGE.zh} → Secret，重新复制到 wecom.secret`,
      `copy it to wecom.secret anew: ${APP_PAGE.en} → Secret`,
    ),
  },
  40056: {
    check: 'agent',
    found: said('AgentId 不对（40056）', 'no such agent (40056)'),
    fix: said(`对照 ${APP_PAGE.zh} → AgentId，改 wecom.agentId`, `compare wecom.agentId with ${APP_PAGE.en} → AgentId`),
  },
  301002: {
    check: 'agent',
    found: said('AgentId 与 Secret 不是同一个应用（301002）', 'agent id and secret belong to different apps (301002)'),
    fix: said(`对照 ${APP_PAGE.zh} → AgentId 和 Secret`, `compare both with ${APP_PAGE.en} → AgentId, Secret`),
  },
  50003: {
    check: 'agent',
    found: said('应用已停用（50003）', 'the app is disabled (50003)'),
    fix: said(`${APP_PAGE.zh} → 启用`, `enable it: ${APP_PAGE.en} → 启用`),
  },
  48002: {
    check: 'contact',
    found: said('应用没有客户联系权限（48002）', 'the app may not use customer contact (48002)'),
    fix: said(
      '管理后台 → 客户与上下游 → 客户联系 → 客户 → API → 可调用接口的应用，勾选该应用',
      'tick the app in 客户联系 → 客户 → API → 可调用接口的应用',
    ),
  },
  45009: {
    check: 'credentials',
    found: said(
      '调用太频繁，或因多次错误被封一小时（45009）',
      'too many calls, or banned for an hour after wrong secrets (45009)',
    ),
    fix: said('先改正设置，一小时后再试', 'correct the settings first, try again in an hour'),
  },
}

const AgentDetail = z.object({
  name: z.string().default(''),
  close: z.number().default(0),
  allow_userinfos: z.object({ user: z.array(z.unknown()).default([]) }).optional(),
  allow_partys: z.object({ partyid: z.array(z.unknown()).default([]) }).optional(),
  allow_tags: z.object({ tagid: z.array(z.unknown()).default([]) }).optional(),
})
const Followers = z.object({ follow_user: z.array(z.string()).default([]) })

/** Asks WeCom, in the order in which a mistake shows, what every setting is worth; what rests on a failed one is skipped. */
export async function examineWecom(probe: WecomProbe, subject: Subject): Promise<Finding[]> {
  const clock = await probe.clockAheadMs()
  if ('why' in clock) {
    return [
      CHECKS.reach.failed(
        clock.why,
        said('检查 wecom.baseUrl、出口网络、代理和 DNS', 'check wecom.baseUrl, the way out, proxy and DNS'),
      ),
      ...skip(['clock', 'credentials', 'ip', 'agent', 'range', 'contact', 'sync']),
    ]
  }
  const findings = [CHECKS.reach.ok(said('有应答', 'it answers')), clockFinding(clock.aheadMs)]
  const signedIn = await probe.signIn('app')
  const bad = refusal(signedIn, 'credentials')
  if (bad !== undefined) {
    const rest: Check[] = ['credentials', 'ip', 'agent', 'range', 'contact', 'sync']
    return [...findings, bad, ...skip(rest.filter((check) => CHECKS[check].ok('').id !== bad.id))]
  }
  findings.push(CHECKS.credentials.ok(said('换到了令牌', 'a token was given')))
  findings.push(...(await examineApp(probe, subject)))
  findings.push(await examineContactSync(probe, subject))
  return findings
}

function clockFinding(aheadMs: number | undefined): Finding {
  if (aheadMs === undefined) return CHECKS.clock.skipped(said('平台没给时间', 'the platform did not tell the time'))
  const seconds = Math.round(-aheadMs / SECOND_MS)
  if (Math.abs(aheadMs) <= MAX_SKEW_MS)
    return CHECKS.clock.ok(said(`与平台相差 ${Math.abs(seconds)} s`, `off by ${Math.abs(seconds)} s`))
  return CHECKS.clock.warned(
    said(
      `本机${seconds > 0 ? '快' : '慢'} ${Math.abs(seconds)} s`,
      `this machine is ${Math.abs(seconds)} s ${seconds > 0 ? 'fast' : 'slow'}`,
    ),
    said(
      '打开时间同步（chrony、systemd-timesyncd）：欢迎语只有 20 秒',
      'turn on time synchronisation: welcome codes live 20 s',
    ),
  )
}

/** The app's own calls: whoever refuses first tells which setting is wrong. */
async function examineApp(probe: WecomProbe, { agentId, serving = [] }: Subject): Promise<Finding[]> {
  const detail = await probe.ask('app', 'agent/get', { agentid: agentId })
  const follows = await probe.ask('app', 'externalcontact/get_follow_user_list')
  const untrusted = [detail, follows].find((a) => a.kind === 'answer' && a.errcode === 60020)
  if (untrusted?.kind === 'answer') {
    const ip = untrusted.seenIp ?? '?'
    return [
      CHECKS.ip.failed(
        said(
          `企业微信看到的出口是 ${ip}，不在名单（60020）`,
          `WeCom sees us come from ${ip}, which is not listed (60020)`,
        ),
        said(
          `${APP_PAGE.zh} → 企业可信IP → 配置，加入 ${ip}，约 1 分钟后生效`,
          `add ${ip}: ${APP_PAGE.en} → 企业可信IP → 配置; it acts after a minute`,
        ),
      ),
      ...skip(['agent', 'range', 'contact']),
    ]
  }
  const findings: Finding[] = [CHECKS.ip.ok(said('接受这台机器', 'this machine is accepted'))]
  const noAgent = refusal(detail, 'agent')
  if (noAgent !== undefined) findings.push(noAgent, ...skip(['range']))
  else findings.push(...rangeFindings((detail as { body: unknown }).body))
  findings.push(contactFinding(follows, serving))
  return findings
}

function rangeFindings(body: unknown): Finding[] {
  const { name, close, allow_userinfos, allow_partys, allow_tags } = AgentDetail.parse(body)
  const users = allow_userinfos?.user.length ?? 0
  const parties = allow_partys?.partyid.length ?? 0
  const tags = allow_tags?.tagid.length ?? 0
  const range = said(
    `成员 ${users}，部门 ${parties}，标签 ${tags}`,
    `${users} members, ${parties} departments, ${tags} tags`,
  )
  return [
    close === 1
      ? CHECKS.agent.failed(
          said(`应用「${name}」已停用`, `the app ${name} is disabled`),
          said(`${APP_PAGE.zh} → 启用`, `enable it: ${APP_PAGE.en} → 启用`),
        )
      : CHECKS.agent.ok(`「${name}」`),
    users + parties + tags === 0
      ? CHECKS.range.failed(
          said('没有任何成员', 'nobody is in it'),
          said(
            `${APP_PAGE.zh} → 可见范围，加入全部导购所在部门`,
            `add the guides' departments: ${APP_PAGE.en} → 可见范围`,
          ),
        )
      : CHECKS.range.ok(range),
  ]
}

function contactFinding(follows: ProbeAnswer, serving: readonly string[]): Finding {
  const bad = refusal(follows, 'contact')
  if (bad !== undefined) return bad
  const visible = new Set(Followers.parse((follows as { body: unknown }).body).follow_user)
  if (visible.size === 0) {
    return CHECKS.contact.failed(
      said('可见范围内没有人开通客户联系', 'nobody in range has the customer-contact feature'),
      said(
        '管理后台 → 客户联系 → 权限配置 → 客户联系和客户群，加入导购；再看应用的可见范围',
        'add the guides in 客户联系 → 权限配置, then look at the visible range of the app',
      ),
    )
  }
  const outside = serving.filter((userId) => !visible.has(userId))
  if (outside.length === 0)
    return CHECKS.contact.ok(said(`${visible.size} 名成员可用`, `${visible.size} members can be worked with`))
  const shown = `${outside.slice(0, 5).join(', ')}${outside.length > 5 ? ' …' : ''}`
  return CHECKS.contact.warned(
    said(
      `${visible.size} 名可用；${outside.length} 名有客户的成员看不到：${shown}`,
      `${visible.size} can be worked with; ${outside.length} members with customers are out of sight: ${shown}`,
    ),
    said(
      `${APP_PAGE.zh} → 可见范围，或 客户联系 → 权限配置，加入他们`,
      'add them to the visible range of the app, or to 客户联系 → 权限配置',
    ),
  )
}

async function examineContactSync(probe: WecomProbe, { hasContactSyncSecret }: Subject): Promise<Finding> {
  if (!hasContactSyncSecret) return CHECKS.sync.skipped(said('没有配置，可不配', 'not set, not needed'))
  const signedIn = await probe.signIn('contact_sync')
  const refused =
    refusal(signedIn, 'sync') ?? refusal(await probe.ask('contact_sync', 'user/list_id', {}, { limit: 1 }), 'sync')
  if (refused === undefined) return CHECKS.sync.ok(said('可列出成员', 'members can be listed'))
  return CHECKS.sync.failed(
    refused.found,
    said(
      '管理后台 → 安全与管理 → 管理工具 → 通讯录同步 → 查看 Secret，并加可信 IP；或删掉 wecom.contactSyncSecret',
      'copy it from 通讯录同步 → 查看 Secret and trust this IP, or leave wecom.contactSyncSecret out',
    ),
  )
}

/** What a refusal says, under the check it belongs to; `undefined` when it was none. */
function refusal(answer: ProbeAnswer, asked: Check): Finding | undefined {
  if (answer.kind === 'unreachable')
    return CHECKS[asked].failed(answer.why, said('稍后再试；看网络与代理', 'try again; look at network and proxy'))
  if (answer.errcode === 0) return undefined
  if (answer.errcode === 60020)
    return CHECKS[asked].failed(
      said(
        `不在可信 IP 内（60020）：${answer.seenIp ?? '?'}`,
        `this IP is not trusted (60020): ${answer.seenIp ?? '?'}`,
      ),
      said('加入可信 IP', 'add it to the trusted IPs'),
    )
  const known = FIXES[answer.errcode]
  return known === undefined
    ? CHECKS[asked].failed(
        `errcode ${answer.errcode}`,
        said(
          `查询：open.work.weixin.qq.com/devtool/query?e=${answer.errcode}`,
          `look it up: open.work.weixin.qq.com/devtool/query?e=${answer.errcode}`,
        ),
      )
    : CHECKS[known.check].failed(known.found, known.fix)
}

function skip(checks: readonly Check[]): Finding[] {
  return checks.map((check) => CHECKS[check].skipped(said('前面的先解决', 'settle what is above first')))
}
