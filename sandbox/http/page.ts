import { toWallTime } from '../../src/time.js'
import type { Sandbox } from '../sandbox.js'
import type { World } from '../world/world.js'

const REFRESH_SECONDS = 2
const LAST = 30

type MessageRow = {
  user_id: string
  external_user_id: string
  name: string
  text: string
  link: string | null
  sent_ms: number
  read_ms: number | null
  reply: string | null
}

/** The page to watch the sandbox by: Chinese first, then English; it reads and changes nothing. */
export function page(world: World, sandbox: Pick<Sandbox, 'now' | 'nextAt' | 'counts' | 'corpId'>): string {
  const { state, scenario } = world
  const at = (ms: number) => escape(wallTime(new Date(ms), scenario.timeZone))
  const counts = sandbox.counts()
  const nextAt = sandbox.nextAt()
  const tasks = byUser(state.all("SELECT t.user_id, count(*) AS n FROM mass_task t JOIN mass m ON m.msgid = t.msgid WHERE t.status = 0 AND m.cancelled = 0 GROUP BY t.user_id")) // prettier-ignore
  const cards = byUser(
    state.all("SELECT user_id, count(*) AS n FROM app_delivery WHERE status = 'waiting' GROUP BY user_id"),
  )
  const messages = state.all<MessageRow>(
    `SELECT m.*, c.name FROM message m JOIN contact c ON c.external_user_id = m.external_user_id ORDER BY m.seq DESC LIMIT ${LAST}`,
  )
  const members = scenario.members.map((m) =>
    row(m.name, m.userId, String(tasks.get(m.userId) ?? 0), String(cards.get(m.userId) ?? 0)),
  )
  const figures: [string, string][] = [
    ['已送达消息 messages', String(counts.messages)],
    ['已读 reads', String(counts.reads)],
    ['回复 replies', String(Object.values(counts.repliesByKind).reduce((a, b) => a + b, 0))],
    ['超出额度 over quota', String(counts.refusedByQuota)],
    ['导购卡片 cards', String(counts.cards)],
    ['按钮 presses', String(Object.values(counts.pressesByKey).reduce((a, b) => a + b, 0))],
    ['回调 callbacks', `${counts.callbacks.delivered} / ${counts.callbacks.waiting} 待发 waiting`],
    ['接口调用 API calls', String(counts.apiCalls)],
  ]
  return `<!doctype html><html lang="zh"><head><meta charset="utf-8"><title>企业微信沙盒 WeCom sandbox</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="${REFRESH_SECONDS}">
<style>body{font:14px system-ui,sans-serif;margin:1.5rem;max-width:70rem;color:#222}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #ddd;vertical-align:top}h1{font-size:1.3rem}h2{font-size:1rem;margin-top:1.5rem}
dl{display:flex;flex-wrap:wrap;gap:.5rem 2rem}dt{color:#666}dd{margin:0;font-weight:600}</style></head><body>
<h1>企业微信沙盒 · WeCom sandbox</h1>
<p>${at(sandbox.now().getTime())} ${escape(scenario.timeZone)} · 下一事件 next: ${nextAt === undefined ? '—' : at(nextAt.getTime())} · ${escape(sandbox.corpId)}</p>
<dl>${figures.map(([name, value]) => `<div><dt>${escape(name)}</dt><dd>${escape(value)}</dd></div>`).join('')}</dl>
<h2>成员 · Members</h2><table><tr><th>姓名 name</th><th>userid</th><th>待发送 tasks to send</th><th>待处理卡片 open cards</th></tr>${members.join('')}</table>
<h2>客户看到的消息 · Messages as customers see them</h2>
<table><tr><th>时间 time</th><th>客户 customer</th><th>来自 from</th><th>内容 content</th><th>状态 state</th></tr>${messages
    .map((m) => {
      const link = m.link === null ? '' : `\n🔗 ${(JSON.parse(m.link) as { title: string }).title}`
      const seen = m.reply !== null ? `已回复 ${m.reply}` : m.read_ms !== null ? '已读 read' : '已送达 delivered'
      return row(wallTime(new Date(m.sent_ms), scenario.timeZone), m.name, m.user_id, `${m.text}${link}`, seen)
    })
    .join('')}</table></body></html>`
}

function byUser(rows: { user_id: string; n: number }[]): Map<string, number> {
  return new Map(rows.map((r) => [r.user_id, r.n]))
}

function row(...cells: string[]): string {
  return `<tr>${cells.map((cell) => `<td>${escape(cell).replaceAll('\n', '<br>')}</td>`).join('')}</tr>`
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

function wallTime(at: Date, timeZone: string): string {
  const { year, month, day, hour, minute, second } = toWallTime(at, timeZone)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${year}-${two(month)}-${two(day)} ${two(hour)}:${two(minute)}:${two(second)}`
}
