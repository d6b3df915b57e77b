import { forHtml } from '../../../src/escape.js'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, toWallTime } from '../../../src/time.js'
import type { ControlParts } from './parts.js'
import { exportLines } from '../../export-lines.js'
import { PAGE_SCRIPT, PAGE_STYLE } from './page-assets.js'

/** Rows of a list. */
const LAST = 50
/** Messages among which the customers to show are found. */
const RECENT = 1_000
/** Guides listed at most. */
const MEMBERS = 500

/** `mayAct`: the control key came along, so the page offers buttons. */
type PageParts = ControlParts & { mayAct: boolean }

const VIEWS = {
  members: { title: '导购 Guides', render: membersView },
  tasks: { title: '待发送 To send', render: tasksView },
  cards: { title: '卡片 Cards', render: cardsView },
  customers: { title: '客户 Customers', render: customersView },
  connect: { title: '接入 Connect', render: connectView },
  callbacks: { title: '回调 Callbacks', render: callbacksView },
  calls: { title: '接口调用 Calls', render: callsView },
  limits: { title: '频率与故障 Limits & faults', render: limitsView },
} satisfies Record<string, { title: string; render: (parts: PageParts, query: URLSearchParams) => string }>
type View = keyof typeof VIEWS

/** The page to watch the sandbox by, and to act as the people in it: Chinese first, then English. */
export function page(parts: PageParts, query: URLSearchParams): string {
  const { world, sandbox, clock, mayAct } = parts
  const asked = query.get('view') ?? ''
  const view = Object.hasOwn(VIEWS, asked) ? (asked as View) : 'members'
  const nextAt = sandbox.nextAt()
  const tabs = Object.entries(VIEWS).map(
    ([name, { title }]) =>
      `<a href="${linkTo(query, { view: name })}"${name === view ? ' aria-current="page"' : ''}>${forHtml(title)}</a>`,
  )
  const speed = {
    real: '真实时间 real time',
    step: '手动推进 stepped',
    fast: `${clock.speed} 倍速 ×`,
    virtual: '外部时钟 virtual',
  }
  return `<!doctype html><html lang="zh"><head><meta charset="utf-8"><title>企业微信沙盒 WeCom sandbox</title>
<meta name="viewport" content="width=device-width"><style>${PAGE_STYLE}</style></head><body>
<header><h1>企业微信沙盒 <small>WeCom sandbox</small></h1>
<p class="clock"><strong>${timeOf(parts, sandbox.now())}</strong> ${forHtml(world.scenario.timeZone)} · ${speed[clock.kind]} ·
下一事件 next ${nextAt === undefined ? '—' : timeOf(parts, nextAt)} · ${forHtml(sandbox.corpId)}</p>
${clock.kind === 'step' && mayAct ? `<p>${[MINUTE_MS, HOUR_MS, DAY_MS].map((ms, i) => action(`+1 ${['分钟 min', '小时 h', '天 day'][i]!}`, 'advance', { byMs: ms })).join(' ')}</p>` : ''}
${mayAct ? '' : '<p class="hint">只读：用启动时打印的网址（带 key）打开才有按钮。Read only: open the address printed at the start, with its key, for buttons.</p>'}
<nav>${tabs.join('')}</nav></header>
<main>${figures(parts)}${VIEWS[view].render(parts, query)}</main><p id="said" role="status"></p>
<script>${PAGE_SCRIPT}</script></body></html>`
}

function figures({ sandbox }: PageParts): string {
  const { messages, reads, repliesByKind, refusedByQuota, cards, pressesByKey, callbacks, apiCalls } = sandbox.counts()
  const sum = (of: Record<string, number>) => Object.values(of).reduce((a, b) => a + b, 0)
  const all: [string, string | number][] = [
    ['已送达消息 messages', messages],
    ['已读 reads', reads],
    ['回复 replies', sum(repliesByKind)],
    ['超出额度 over quota', refusedByQuota],
    ['导购卡片 cards', cards],
    ['按钮 presses', sum(pressesByKey)],
    ['回调 callbacks', `${callbacks.delivered} · 待发 waiting ${callbacks.waiting} · 丢失 lost ${callbacks.lost}`],
    ['接口调用 API calls', apiCalls],
  ]
  return `<dl>${all.map(([name, value]) => `<div><dt>${forHtml(name)}</dt><dd>${forHtml(String(value))}</dd></div>`).join('')}</dl>`
}

function membersView({ world }: PageParts, query: URLSearchParams): string {
  const { state } = world
  const tasks = byUser(state.all("SELECT t.user_id, count(*) AS n FROM mass_task t JOIN mass m ON m.msgid = t.msgid WHERE t.status = 0 AND m.cancelled = 0 GROUP BY t.user_id")) // prettier-ignore
  const cards = byUser(
    state.all("SELECT user_id, count(*) AS n FROM app_delivery WHERE status = 'waiting' GROUP BY user_id"),
  )
  const rows = world.staff.employed
    .slice(0, MEMBERS)
    .map((m) => [
      forHtml(m.name),
      forHtml(m.userId),
      anchor(query, { view: 'tasks', user: m.userId }, String(tasks.get(m.userId) ?? 0)),
      anchor(query, { view: 'cards', user: m.userId }, String(cards.get(m.userId) ?? 0)),
    ])
  const latest = messagesTable(world, query, '', [])
  return (
    section('导购 Guides', table(['姓名 name', 'userid', '待发送 to send', '卡片 cards'], rows)) +
    section('客户看到的消息 Messages as customers see them', latest)
  )
}

type MessageRow = {
  user_id: string
  external_user_id: string
  kind: string
  name: string
  text: string
  link: string | null
  sent_ms: number
  read_ms: number | null
  replied_ms: number | null
  reply: string | null
}

function messagesTable(world: PageParts['world'], query: URLSearchParams, where: string, params: string[]): string {
  const rows = world.state.all<MessageRow>(
    `SELECT m.*, c.name FROM message m JOIN contact c ON c.external_user_id = m.external_user_id ${where} ORDER BY m.seq DESC LIMIT ${LAST}`,
    ...params,
  )
  return table(
    ['时间 time', '客户 customer', '来自 from', '内容 content', '状态 state'],
    rows.map((m) => {
      const seen =
        m.reply !== null ? `已回复 replied: ${m.reply}` : m.read_ms !== null ? '已读 read' : '已送达 delivered'
      return [
        wallTime(new Date(m.sent_ms), world.scenario.timeZone),
        anchor(query, { view: 'customers', customer: m.external_user_id }, m.name),
        forHtml(m.user_id),
        lines(`${m.text}${linkText(m.link)}`),
        forHtml(seen),
      ]
    }),
  )
}

type TaskRow = { msgid: string; user_id: string; created_ms: number; content: string }

/** Mass messages that wait for a guide, with the customers she may untick. */
function tasksView(parts: PageParts, query: URLSearchParams): string {
  const { state } = parts.world
  const user = query.get('user')
  const rows = state.all<TaskRow>(
    `SELECT t.msgid, t.user_id, m.created_ms, m.content FROM mass_task t JOIN mass m ON m.msgid = t.msgid
     WHERE t.status = 0 AND m.cancelled = 0 AND (? IS NULL OR t.user_id = ?) ORDER BY m.created_ms DESC, t.user_id LIMIT ${LAST}`,
    user,
    user,
  )
  const tasks = rows.map((task) => {
    const { text, link } = JSON.parse(task.content) as { text: string; link?: { title: string; url: string } }
    const targets = state.all<{ id: string; name: string | null }>(
      `SELECT t.external_user_id AS id, c.name FROM mass_target t LEFT JOIN contact c ON c.external_user_id = t.external_user_id
       WHERE t.msgid = ? AND t.user_id = ? ORDER BY t.external_user_id LIMIT ${LAST}`,
      task.msgid,
      task.user_id,
    )
    const ticks = targets.map(
      ({ id, name }) => `<label><input type="checkbox" checked value="${forHtml(id)}">${forHtml(name ?? id)}</label>`,
    )
    const body = { msgid: task.msgid, userId: task.user_id }
    const buttons = parts.mayAct
      ? `${action('全部发送 Send to all', 'send', body)} ${action('只发勾选的 Send to those ticked', 'send', body, 'externalUserIds')}`
      : ''
    return `<article><h3>${forHtml(memberName(parts, task.user_id))} · ${timeOf(parts, new Date(task.created_ms))}</h3>
<blockquote>${lines(`${text}${link === undefined ? '' : `\n→ ${link.title} ${link.url}`}`)}</blockquote>
<details><summary>${targets.length}${targets.length === LAST ? '+' : ''} 位客户 customers</summary><div class="ticks">${ticks.join('')}</div></details>
<p>${buttons} <small>${forHtml(task.msgid)}</small></p></article>`
  })
  return section(`待导购发送 Waiting for guides to send${user === null ? '' : `：${user}`}`, tasks.join('') || NOTHING)
}

type CardRow = { msgid: string; user_id: string; at_ms: number; task_id: string; body: string }

/** Cards whose buttons can still be pressed. */
function cardsView(parts: PageParts, query: URLSearchParams): string {
  const user = query.get('user')
  const rows = parts.world.state.all<CardRow>(
    `SELECT d.msgid, d.user_id, d.at_ms, a.task_id, a.body FROM app_delivery d JOIN app_message a ON a.msgid = d.msgid
     WHERE d.status = 'waiting' AND a.recalled = 0 AND a.task_id IS NOT NULL AND (? IS NULL OR d.user_id = ?) ORDER BY d.at_ms DESC, d.msgid LIMIT ${LAST}`,
    user,
    user,
  )
  const cards = rows.map((row) => {
    const card = JSON.parse(row.body) as Card
    const fields = (card.horizontal_content_list ?? []).map(
      (f) => `<div>${forHtml(f.keyname)}：${forHtml(f.value ?? '')}</div>`,
    )
    const buttons = (card.button_list ?? []).flatMap(({ text, key }) =>
      key === undefined
        ? []
        : [
            parts.mayAct
              ? action(text, 'press', { taskId: row.task_id, userId: row.user_id, key })
              : `<em>${forHtml(text)}</em>`,
          ],
    )
    return `<article><h3>${forHtml(memberName(parts, row.user_id))} · ${timeOf(parts, new Date(row.at_ms))}</h3>
<blockquote><strong>${forHtml(card.main_title?.title ?? '')}</strong><div>${forHtml(card.main_title?.desc ?? '')}</div><div>${lines(card.sub_title_text ?? '')}</div>${fields.join('')}</blockquote>
<p>${buttons.join(' ')} <small>${forHtml(row.task_id)}</small></p></article>`
  })
  return section(`等待按钮的卡片 Cards with live buttons${user === null ? '' : `：${user}`}`, cards.join('') || NOTHING)
}

type Card = {
  main_title?: { title?: string; desc?: string }
  sub_title_text?: string
  horizontal_content_list?: { keyname: string; value?: string }[]
  button_list?: { text: string; key?: string }[]
}

/** One customer's chat, or all of them. */
function customersView(parts: PageParts, query: URLSearchParams): string {
  const { state } = parts.world
  const customer = query.get('customer')
  if (customer !== null) {
    const who = state.get<{ name: string }>('SELECT name FROM contact WHERE external_user_id = ?', customer)
    if (who === undefined) return section('客户会话 Customer', NOTHING)
    const rows = state.all<MessageRow>(
      `SELECT m.*, '' AS name FROM message m WHERE m.external_user_id = ? ORDER BY m.seq DESC LIMIT ${LAST}`,
      customer,
    )
    const chat = rows.reverse().map((m) => {
      const read = m.read_ms === null ? '未读 unread' : `已读 read ${timeOf(parts, new Date(m.read_ms))}`
      const kind = m.kind === 'welcome' ? ' · 欢迎语 welcome' : ''
      const answer =
        m.reply === null
          ? ''
          : `<div class="bubble mine"><small>${m.replied_ms === null ? '' : timeOf(parts, new Date(m.replied_ms))}</small><p>${forHtml(m.reply)}</p></div>`
      return `<div class="bubble"><small>${forHtml(memberName(parts, m.user_id))} · ${timeOf(parts, new Date(m.sent_ms))}${kind}</small><p>${lines(`${m.text}${linkText(m.link)}`)}</p><small>${read}</small></div>${answer}`
    })
    return section(
      `${forHtml(who.name)} <small>${forHtml(customer)}</small> ${copy(customer)}`,
      `${deedsOf(parts, customer)}<div class="chat">${chat.join('') || NOTHING}</div>`,
      true,
    )
  }
  const latest = latestChats(parts, query)
  return `${latest === '' ? '' : section('最近的会话 Written to last', latest)}${allCustomers(parts, query)}`
}

/** What he can do now. */
function deedsOf(parts: PageParts, customer: string): string {
  if (!parts.mayAct) return ''
  const { state } = parts.world
  const relations = state.all<{ user_id: string; status: string }>(
    'SELECT user_id, status FROM relation WHERE external_user_id = ? ORDER BY created_ms, user_id',
    customer,
  )
  const deletes = relations.flatMap(({ user_id: userId, status }) =>
    status === 'active'
      ? action(`删除 Delete ${memberName(parts, userId)}`, 'contacts/delete', { userId, externalUserId: customer })
      : action(`加回 Add ${memberName(parts, userId)}`, 'contacts/add', { userId, externalUserId: customer }),
  )
  const replies = (
    [
      ['回复 Reply', 'other'],
      ['回复有兴趣 Interested', 'interested'],
      ['回复别再发 Stop', 'stop'],
    ] as const
  ).map(([title, reply]) => action(title, 'reply', { externalUserId: customer, reply }))
  const order = `<form>${field('amountMinor', '金额（分）minor units', '10000')} ${action('下单 Order', 'orders/add', { externalUserId: customer })}</form>`
  return `${order}<p>${replies.join(' ')}</p><p>${deletes.join(' ')}</p>`
}

/** Everybody, with ids to copy, a page at a time. */
function allCustomers(parts: PageParts, query: URLSearchParams): string {
  const { world, mayAct } = parts
  const after = query.get('after') ?? ''
  const rows = world.state.all<{ id: string; name: string; guides: string | null }>(
    `SELECT c.external_user_id AS id, c.name,
       (SELECT group_concat(user_id, ' ') FROM relation r WHERE r.external_user_id = c.external_user_id AND r.status = 'active') AS guides
     FROM contact c WHERE c.external_user_id > ? ORDER BY c.external_user_id LIMIT ${LAST + 1}`,
    after,
  )
  const shown = rows.slice(0, LAST)
  const more =
    rows.length > LAST
      ? `<p>${anchor(query, { view: 'customers', after: shown.at(-1)!.id }, '下一页 Next page')}</p>`
      : ''
  const guides = world.staff.employed
    .slice(0, MEMBERS)
    .map((m) => `<option value="${forHtml(m.userId)}">${forHtml(m.name)}</option>`)
  const add = mayAct
    ? `<form><label>导购 guide <select name="userId">${guides.join('')}</select></label> ${field('name', '名字 name', '')} ${action('加一位客户 Add a customer', 'contacts/add', {})}</form>`
    : ''
  const { n } = world.state.get<{ n: number }>('SELECT count(*) AS n FROM contact')!
  return section(
    `全部客户 All customers（${n}）`,
    add +
      table(
        ['客户 customer', 'external_userid', '导购 guides'],
        shown.map((r) => [
          anchor(query, { view: 'customers', customer: r.id }, r.name),
          `${forHtml(r.id)} ${copy(r.id)}`,
          forHtml(r.guides ?? ''),
        ]),
      ) +
      more,
  )
}

/** What an app under test is told, ready for a shell. */
function connectView({ sandbox, mayAct }: PageParts): string {
  if (!mayAct) return section('接入 Connect', NOTHING)
  const blocks = sandbox.apps.map(({ name, agentId, secret, callback, callbackUrl }) => {
    const lines = exportLines(
      { corpId: sandbox.corpId, agentId, secret, callback, contactSyncSecret: sandbox.contactSyncSecret },
      '',
    )
    const url = callbackUrl === undefined ? '' : `<p class="hint">回调 callbacks → ${forHtml(callbackUrl)}</p>`
    return `<article><h3>${forHtml(name)} ${copy('', 'export')}</h3><pre class="export">${lines.map(forHtml).join('\n').replace('WECOM_BASE_URL=', 'WECOM_BASE_URL=<span data-origin></span>')}</pre>${url}</article>`
  })
  return section('接入：粘贴到终端 Connect: paste into a shell', blocks.join(''))
}

/** Those who were written to last. */
function latestChats(parts: PageParts, query: URLSearchParams): string {
  const { state } = parts.world
  const rows = state.all<{ id: string; name: string; n: number; last_ms: number }>(
    `SELECT m.external_user_id AS id, c.name, count(*) AS n, max(m.sent_ms) AS last_ms FROM (SELECT * FROM message ORDER BY seq DESC LIMIT ${RECENT}) m JOIN contact c ON c.external_user_id = m.external_user_id
     GROUP BY m.external_user_id ORDER BY last_ms DESC, id LIMIT ${LAST}`,
  )
  const cells = rows.map((r) => [
    anchor(query, { view: 'customers', customer: r.id }, r.name),
    `${forHtml(r.id)} ${copy(r.id)}`,
    String(r.n),
    timeOf(parts, new Date(r.last_ms)),
  ])
  return cells.length === 0 ? '' : table(['客户 customer', 'external_userid', '消息 messages', '最近 last'], cells)
}

function callbacksView(parts: PageParts): string {
  const rows = parts.callbacks.last
    .slice(0, LAST)
    .map((sent) => [
      timeOf(parts, sent.at),
      forHtml(sent.app),
      forHtml(eventOf(sent.body)),
      sent.outcome === 'delivered'
        ? '已确认 acknowledged'
        : `<b class="bad">${forHtml(sent.problem ?? sent.outcome)}</b>`,
      `<details><summary>明文 body</summary><pre>${forHtml(sent.body.replaceAll('><', '>\n<'))}</pre></details>`,
    ])
  const urls = parts.sandbox.apps.map((app) => [forHtml(app.name), forHtml(app.callbackUrl ?? '未设置 not set')])
  return (
    section('回调地址 Where they go', table(['应用 app', 'URL'], urls)) +
    section(
      '最近的回调 Last callbacks',
      table(['时间 time', '应用 app', '事件 event', '结果 outcome', '内容 body'], rows),
    )
  )
}

function callsView(parts: PageParts): string {
  const { calls } = parts.handler()
  const totals = Object.entries(calls.byPath()).map(([path, { calls: n, byCode }]) => [
    forHtml(path),
    String(n),
    Object.entries(byCode)
      .map(([code, count]) => (code === '0' ? `0 × ${count}` : `<b class="bad">${forHtml(code)}</b> × ${count}`))
      .join(' · '),
  ])
  const rows = calls
    .last(LAST)
    .map((call) => [
      timeOf(parts, call.at),
      forHtml(call.app),
      forHtml(call.path),
      call.errcode === 0 ? '0' : `<b class="bad">${call.errcode ?? '—'}</b>`,
      forHtml(call.fault ?? ''),
    ])
  return (
    section('各接口 By path', table(['接口 path', '次数 calls', '返回码 codes'], totals)) +
    section('最近调用 Last calls', table(['时间 time', '应用 app', '接口 path', 'errcode', '故障 fault'], rows))
  )
}

function limitsView(parts: PageParts): string {
  const usage = parts.handler().limiter.usage(parts.clock.now().getTime())
  const rows = usage.slice(0, LAST).map((u) => {
    const [path = '', who = '', ...rest] = u.name.split(' ')
    const windowMs = Number(/\d+$/.exec(rest.join(' '))?.[0])
    return [
      forHtml(path),
      forHtml(who),
      windowMs < HOUR_MS ? `${windowMs / SECOND_MS} s` : `${windowMs / HOUR_MS} h`,
      `<meter max="${u.most}" value="${u.used}"></meter> ${u.used} / ${u.most}`,
      u.blockedUntilMs === undefined
        ? ''
        : `<b class="bad">封禁至 until ${timeOf(parts, new Date(u.blockedUntilMs))}</b>`,
    ]
  })
  const faults = parts.faults.list().map(({ fault, taken }) => [forHtml(JSON.stringify(fault)), String(taken)])
  const presets: [string, object][] = [
    ['下一次 -1 Next call busy', { kind: 'errcode', errcode: -1 }],
    ['下一次丢应答 Next reply lost', { kind: 'lost_reply' }],
    ['5% 断开 reset', { kind: 'reset', ratio: 0.05 }],
    ['5% HTML', { kind: 'html', ratio: 0.05 }],
    ['10% 回调重复 callbacks doubled', { kind: 'callback_duplicate', ratio: 0.1 }],
    ['10% 回调乱序 out of order', { kind: 'callback_reorder', ratio: 0.1 }],
  ]
  const buttons = parts.mayAct
    ? `<p>${presets.map(([title, fault]) => action(title, 'fault', fault)).join(' ')} ${action('清除 Clear', 'faults/clear', {})} ${action('令牌全部失效 Expire tokens', 'tokens/expire', {})}</p>`
    : ''
  return (
    section(
      '频率 Rates in this window',
      table(['接口 path', '范围 per', '窗口 window', '已用 used', '状态 state'], rows),
    ) + section('故障 Faults', `${buttons}${table(['故障 fault', '已发生 struck'], faults)}`)
  )
}

const NOTHING = '<p class="hint">没有 Nothing here yet.</p>'

function section(title: string, content: string, isHtml = false): string {
  return `<section><h2>${isHtml ? title : forHtml(title)}</h2>${content}</section>`
}

/** Cells are HTML already. */
function table(heads: string[], rows: string[][]): string {
  if (rows.length === 0) return NOTHING
  const head = heads.map((h) => `<th>${forHtml(h)}</th>`).join('')
  return `<table><tr>${head}</tr>${rows.map((cells) => `<tr>${cells.map((c) => `<td>${c}</td>`).join('')}</tr>`).join('')}</table>`
}

/** A button that posts to a control path. @param ticked - field that gets the values of the ticked boxes beside it */
function action(title: string, path: string, body: object, ticked?: string): string {
  const more = ticked === undefined ? '' : ` data-ticked="${forHtml(ticked)}"`
  return `<button data-post="/control/${forHtml(path)}" data-body="${forHtml(JSON.stringify(body))}"${more}>${forHtml(title)}</button>`
}

/** A button that copies a text, or what stands in the block of that class beside it. */
function copy(text: string, block?: string): string {
  const from = block === undefined ? `data-copy="${forHtml(text)}"` : `data-copy-block="${forHtml(block)}"`
  return `<button class="copy" ${from}>复制 Copy</button>`
}

/** A field whose value goes with the buttons of its form. */
function field(name: string, title: string, value: string): string {
  return `<label>${forHtml(title)} <input name="${forHtml(name)}" value="${forHtml(value)}" size="12"></label>`
}

function anchor(query: URLSearchParams, to: Record<string, string>, text: string): string {
  return `<a href="${linkTo(query, to)}">${forHtml(text)}</a>`
}

/** Keeps the key, and nothing else, of where we are. */
function linkTo(query: URLSearchParams, to: Record<string, string>): string {
  const key = query.get('key')
  return forHtml(`/?${new URLSearchParams({ ...to, ...(key === null ? {} : { key }) }).toString()}`)
}

function memberName({ world }: PageParts, userId: string): string {
  return world.member(userId)?.name ?? userId
}

function linkText(link: string | null): string {
  if (link === null) return ''
  const { title, url } = JSON.parse(link) as { title: string; url: string }
  return `\n→ ${title} ${url}`
}

function eventOf(body: string): string {
  const of = (name: string) => new RegExp(`<${name}><!\\[CDATA\\[([^\\]]*)`).exec(body)?.[1]
  return [of('Event'), of('ChangeType') ?? of('EventKey')].filter((text) => text !== undefined).join(' · ')
}

function byUser(rows: { user_id: string; n: number }[]): Map<string, number> {
  return new Map(rows.map((r) => [r.user_id, r.n]))
}

function lines(text: string): string {
  return forHtml(text).replaceAll('\n', '<br>')
}

function timeOf({ world }: PageParts, at: Date): string {
  return wallTime(at, world.scenario.timeZone)
}

function wallTime(at: Date, timeZone: string): string {
  const { year, month, day, hour, minute, second } = toWallTime(at, timeZone)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${year}-${two(month)}-${two(day)} ${two(hour)}:${two(minute)}:${two(second)}`
}
