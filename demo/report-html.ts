import type { DemoReport, JourneyFigures } from './demo-report.js'
import * as text from './report-text.js'
import { forHtml } from '../src/escape.js'
import { formatCount, formatRatio, formatMinor } from '../src/print/numbers.js'
import { type Bilingual, both, nameOf, SOURCE_FIELDS } from '../src/print/words.js'
import type { DemoNames, Locale, NamedKind } from './names.js'

/**
 * The demo's report as one HTML file: no script, nothing loaded from elsewhere, light and dark, fit for print and phones.
 * Shows the figures of the report and nothing else.
 */
export function renderReportHtml(report: DemoReport, locale: Locale, names: DemoNames): string {
  const page = pen(locale, names)
  const reach = text.effectReach(report.journeys)
  return `<!doctype html>
<html lang="${locale === 'zh' ? 'zh-CN' : 'en'}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${page.words(text.TITLES.siyu)} · ${page.words(text.TITLES.report)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${page.words(text.TITLES.siyu)} · ${page.words(text.TITLES.report)}</h1>
<p class="muted">${time(report.from)} → ${time(report.to)} · ${report.days} ${page.say(text.TITLES.days)} · ${page.say(text.TITLES.seed)} ${report.seed}</p>
</header>
<main>
${cards(report, page)}
${section(
  page,
  'source',
  text.TITLES.source,
  definitionTable(
    page,
    SOURCE_FIELDS.map((f) => [f, sourceFigure(report, f)]),
  ),
)}
${section(
  page,
  'identity',
  text.TITLES.identity,
  definitionTable(
    page,
    text.IDENTITY_FIELDS.map((f) => [f, identityFigure(report, f)]),
  ),
)}
${section(page, 'tags', text.TITLES.tags, tags(report, page))}
${section(page, 'stages', text.TITLES.stages, stages(report, page))}
${section(page, 'journeys', text.TITLES.journeys, journeys(report, reach, page))}
${section(page, 'touches', text.TITLES.touches, touches(report, page))}
${section(page, 'tasks', text.TITLES.tasks, tasks(report, page))}
${section(page, 'sandbox', text.TITLES.sandbox, sandbox(report, page))}
</main>
</body>
</html>
`
}

const STAGE_FLOW = both('生命周期流转图，数字见下表', 'Stage flow; the figures are in the table below')

type Pen = ReturnType<typeof pen>

/** The report's words in its language, safe as HTML. */
function pen(locale: Locale, names: DemoNames) {
  const say = (words: Bilingual) => words[locale]
  return {
    say,
    words: (words: Bilingual) => forHtml(say(words)),
    name: (kind: NamedKind, id: string) => forHtml(names(kind, id)),
    sentence: (words: Bilingual, mark = '') => `<p class="say ${mark}">${forHtml(say(words))}</p>`,
  }
}

function section(page: Pen, id: string, title: Bilingual, body: string): string {
  return `<section aria-labelledby="h-${id}"><h2 id="h-${id}">${page.words(title)}</h2>\n${body}</section>`
}

function time(iso: string): string {
  return `<time datetime="${forHtml(iso)}">${forHtml(iso.replace('T', ' ').replace(/(:\d\d)?(\.\d+)?Z$/, ' UTC'))}</time>`
}

function cards({ source, identity, touches, sandbox, journeys }: DemoReport, page: Pen): string {
  const entered = Object.values(journeys).reduce((sum, journey) => sum + journey.entered, 0)
  const shown: [Bilingual, string][] = [
    [nameOf('orders'), formatCount(source.orders)],
    [nameOf('profiles'), formatCount(identity.profiles)],
    [{ zh: 'OneID 精确率', en: 'precision' }, formatRatio(identity.precision, 2)],
    [{ zh: 'OneID 召回率', en: 'recall' }, formatRatio(identity.recall, 2)],
    [{ zh: '进入旅程', en: 'entered journeys' }, formatCount(entered)],
    [{ zh: '计划触达', en: 'touches planned' }, formatCount(touches.planned)],
    [{ zh: '沙箱消息', en: 'sandbox messages' }, formatCount(sandbox.messages)],
    [
      { zh: '独立核对', en: 'independent check' },
      page.say(text.checkPassed(sandbox) ? both('✓ 通过', '✓ passed') : both('✗ 未通过', '✗ not passed')),
    ],
  ]
  return `<div class="cards">${shown
    .map(([label, figure]) => `<div class="card"><b>${forHtml(figure)}</b><span>${page.words(label)}</span></div>`)
    .join('')}</div>`
}

function sourceFigure({ source }: DemoReport, field: (typeof SOURCE_FIELDS)[number]): string {
  return field === 'grossMinor' || field === 'netMinor'
    ? formatMinor(source[field], source.currency)
    : formatCount(source[field])
}

function identityFigure({ identity }: DemoReport, field: (typeof text.IDENTITY_FIELDS)[number]): string {
  return field === 'precision' || field === 'recall' ? formatRatio(identity[field], 2) : formatCount(identity[field])
}

function definitionTable(page: Pen, rows: readonly (readonly [string, string])[]): string {
  const cells = rows.map(([key, figure]) => `<div><dt>${page.words(nameOf(key))}</dt><dd>${forHtml(figure)}</dd></div>`)
  return `<dl class="figures">${cells.join('')}</dl>`
}

function tags({ tags: all }: DemoReport, page: Pen): string {
  const rows = Object.entries(all)
    .sort(([a, x], [b, y]) => y.profiles - x.profiles || (a < b ? -1 : 1))
    .map(
      ([id, { profiles, coverage }]) =>
        `<tr><th scope="row">${page.name('tag', id)}</th><td class="n">${formatCount(profiles)}</td>` +
        `<td class="n">${formatRatio(coverage)}</td><td class="wide">${bar(coverage)}</td></tr>`,
    )
  return scroll(
    `<table><thead><tr><th scope="col">${page.words(text.TITLES.tag)}</th><th scope="col" class="n">${page.words(nameOf('profiles'))}</th>` +
      `<th scope="col" class="n">${page.words(text.TITLES.coverage)}</th><td></td></tr></thead><tbody>${rows.join('')}</tbody></table>`,
  )
}

function stages({ stages: s }: DemoReport, page: Pen): string {
  const names = text.stagesOf(s)
  const most = Math.max(1, ...Object.values(s.matrix).flatMap((row) => Object.values(row)))
  const cell = (from: string, to: string) => {
    const count = s.matrix[from]?.[to] ?? 0
    // The square root keeps small flows visible beside large ones.
    const heat = Math.round(Math.sqrt(count / most) * 75)
    return `<td class="n heat" style="--heat:${heat}%">${count === 0 ? '·' : formatCount(count)}</td>`
  }
  const rows = names.map(
    (from) =>
      `<tr><th scope="row">${page.name('stage', from)}</th>${names.map((to) => cell(from, to)).join('')}` +
      `<td class="n total">${formatCount(s.atStart[from] ?? 0)}</td></tr>`,
  )
  const ends = names.map((name) => `<td class="n">${formatCount(s.atEnd[name] ?? 0)}</td>`)
  const everyone = Object.values(s.atEnd).reduce((sum, count) => sum + count, 0)
  const heads = names.map((name) => `<th scope="col" class="n">${page.name('stage', name)}</th>`)
  return (
    sankey(s, names, page) +
    scroll(
      `<table><thead><tr><th scope="col">${page.words(text.TITLES.fromTo)}</th>${heads.join('')}` +
        `<th scope="col" class="n">${page.words(text.TITLES.total)}</th></tr></thead><tbody>${rows.join('')}</tbody>` +
        `<tfoot><tr><th scope="row">${page.words(text.TITLES.total)}</th>${ends.join('')}<td class="n">${formatCount(everyone)}</td></tr></tfoot></table>`,
    )
  )
}

/** Stages at the start on the left, at the end on the right, ribbons as wide as the people who went that way. */
function sankey({ matrix }: DemoReport['stages'], names: readonly string[], page: Pen): string {
  const [width, height, gap, node, labels] = [900, 340, 12, 10, 150]
  const count = (from: string, to: string) => matrix[from]?.[to] ?? 0
  const outOf = (from: string) => names.reduce((sum, to) => sum + count(from, to), 0)
  const into = (to: string) => names.reduce((sum, from) => sum + count(from, to), 0)
  const left = names.filter((name) => outOf(name) > 0)
  const right = names.filter((name) => into(name) > 0)
  const people = left.reduce((sum, name) => sum + outOf(name), 0)
  if (people === 0) return ''
  const scale = (height - gap * (Math.max(left.length, right.length) - 1)) / people
  const stack = (side: readonly string[], sizeOf: (name: string) => number) => {
    let y = 0
    return new Map(
      side.map((name) => {
        const top = y
        y += sizeOf(name) * scale + gap
        return [name, { top, next: top, size: sizeOf(name) }]
      }),
    )
  }
  const [starts, ends] = [stack(left, outOf), stack(right, into)]
  const [x0, x1] = [labels + node, width - labels - node]
  const middle = (x0 + x1) / 2
  const ribbons = left.flatMap((from, i) =>
    right.flatMap((to) => {
      const people = count(from, to)
      const [a, b] = [starts.get(from), ends.get(to)]
      if (people === 0 || a === undefined || b === undefined) return []
      const [ya, yb, thick] = [a.next + (people * scale) / 2, b.next + (people * scale) / 2, people * scale]
      a.next += thick
      b.next += thick
      const title = `${page.name('stage', from)} → ${page.name('stage', to)}: ${formatCount(people)}`
      return `<path class="r${i % 8}" d="M${x0} ${px(ya)}C${middle} ${px(ya)} ${middle} ${px(yb)} ${x1} ${px(yb)}" stroke-width="${px(Math.max(0.5, thick))}"><title>${title}</title></path>`
    }),
  )
  const nodes = (side: typeof starts, x: number, textX: number, anchor: string) =>
    [...side].map(
      ([name, { top, size }]) =>
        `<rect x="${x}" y="${px(top)}" width="${node}" height="${px(Math.max(1, size * scale))}"/>` +
        `<text x="${textX}" y="${px(top + (size * scale) / 2 + 5)}" text-anchor="${anchor}">${page.name('stage', name)} ${formatCount(size)}</text>`,
    )
  return (
    `<figure class="sankey"><svg viewBox="0 -8 ${width} ${height + 24}" role="img" aria-label="${page.words(STAGE_FLOW)}">` +
    `<g class="ribbons">${ribbons.join('')}</g><g class="nodes">${nodes(starts, labels, labels - 8, 'end').join('')}` +
    `${nodes(ends, x1, x1 + node + 8, 'start').join('')}</g></svg></figure>`
  )
}

function journeys({ journeys: all }: DemoReport, reach: number, page: Pen): string {
  const parts = Object.entries(all).map(([id, journey]) => journeyBlock(id, journey, reach, page))
  return parts.join('\n') + page.sentence(text.TRUTH, 'muted')
}

function journeyBlock(id: string, journey: JourneyFigures, reach: number, page: Pen): string {
  const funnel = text.funnelOf(journey)
  const most = Math.max(1, ...funnel.map((step) => step.count))
  const steps = funnel.map(
    ({ key, count, unit }) =>
      `<tr><th scope="row">${page.words(nameOf(key))}</th><td class="n">${formatCount(count)} <small>${page.words(text.TITLES[unit])}</small></td>` +
      `<td class="wide">${bar(count / most, unit)}</td></tr>`,
  )
  const arms = text
    .armsOf(journey)
    .map(
      ({ key, n, x, ratio }) =>
        `<tr><th scope="row">${page.words(nameOf(key))}</th><td class="n">${formatCount(n)}</td><td class="n">${formatCount(x)}</td><td class="n">${formatRatio(ratio, 2)}</td></tr>`,
    )
  const head = [text.TITLES.people, nameOf('bought'), { zh: '成交率', en: 'share' }]
  const { changedArms } = journey
  const changed = changedArms === 0 ? '' : ` · ${page.words(nameOf('changedArms'))} ${formatCount(changedArms)}`
  return `<article>
<h3>${page.name('journey', id)} <small>${page.words(nameOf('entered'))} ${formatCount(journey.entered)} · ${page.words(nameOf('heldOut'))} ${formatCount(journey.heldOut)}${changed}</small></h3>
<div class="two"><div><table class="funnel"><tbody>${steps.join('')}</tbody></table>
${counts(page, text.TITLES.byReason, journey.suppressed)}</div>
<div><table><thead><tr><td></td>${head.map((label) => `<th scope="col" class="n">${page.words(label)}</th>`).join('')}</tr></thead><tbody>${arms.join('')}</tbody></table>
<p>${page.words(text.TITLES.difference)}, ${page.words(text.TITLES.interval)}<br><b>${forHtml(text.formatEffect(journey.effect))}</b></p>
${intervalPlot(journey.effect, reach)}
${page.sentence(text.explainEffect(journey.effect))}</div></div>
</article>`
}

/** The interval over an axis from `-reach` to `+reach`, the same for all journeys. */
function intervalPlot(effect: JourneyFigures['effect'], reach: number): string {
  if (effect.estimate === null) return ''
  const at = (value: number) => px(20 + ((value + reach) / (2 * reach)) * 360)
  const [low, mid, high] = [at(effect.low), at(effect.estimate), at(effect.high)]
  return (
    `<svg class="interval" viewBox="0 0 400 56" role="img" aria-label="${forHtml(text.formatEffect(effect))}">` +
    `<line class="axis" x1="20" x2="380" y1="36" y2="36"/><line class="zero" x1="200" x2="200" y1="4" y2="40"/>` +
    `<path class="ci" d="M${low} 13v14M${high} 13v14M${low} 20H${high}"/><circle cx="${mid}" cy="20" r="5"/>` +
    `<text x="20" y="52">${forHtml(text.formatPoints(-reach))}</text><text x="200" y="52" text-anchor="middle">0</text>` +
    `<text x="380" y="52" text-anchor="end">${forHtml(text.formatPoints(reach))}</text></svg>`
  )
}

function touches({ touches: t }: DemoReport, page: Pen): string {
  return `${definitionTable(page, [['planned', formatCount(t.planned)]])}
<div class="three">${counts(page, text.TITLES.byState, t.byState)}${counts(page, text.TITLES.byChannel, t.byChannel)}${counts(page, text.TITLES.byReason, t.byReason)}</div>`
}

/** A titled table of counts with bars, largest first; nothing when there are none. */
function counts(page: Pen, title: Bilingual, all: Record<string, number>): string {
  const entries = text.byCount(all)
  if (entries.length === 0) return ''
  const most = Math.max(1, ...entries.map(([, count]) => count))
  const rows = entries.map(
    ([key, count]) =>
      `<tr><th scope="row">${page.words(nameOf(key))}</th><td class="n">${formatCount(count)}</td><td class="wide">${bar(count / most, 'count')}</td></tr>`,
  )
  return `<table class="counts"><caption>${page.words(title)}</caption><tbody>${rows.join('')}</tbody></table>`
}

function tasks({ tasks: all }: DemoReport, page: Pen): string {
  const states = text.taskStatesOf(all)
  const guides = Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1))
  const row = (head: string, task: Record<string, number>) =>
    `<tr><th scope="row">${head}</th>${states.map((state) => `<td class="n">${formatCount(task[state] ?? 0)}</td>`).join('')}</tr>`
  const totals = Object.fromEntries(states.map((s) => [s, guides.reduce((sum, [, task]) => sum + (task[s] ?? 0), 0)]))
  return scroll(
    `<table><thead><tr><th scope="col">${page.words(text.TITLES.guide)}</th>${states.map((s) => `<th scope="col" class="n">${page.words(nameOf(s))}</th>`).join('')}</tr></thead>` +
      `<tbody>${guides.map(([guide, task]) => row(page.name('guide', guide), task)).join('')}</tbody>` +
      `<tfoot>${row(page.words(text.TITLES.total), totals)}</tfoot></table>`,
  )
}

function sandbox({ sandbox: s }: DemoReport, page: Pen): string {
  const rows = text.SANDBOX_FIELDS.map(([field, kind]) => {
    const mark = kind === 'figure' ? '' : s[field] === 0 ? '<span class="good">✓</span>' : '<span class="bad">✗</span>'
    return `<tr><th scope="row">${page.words(nameOf(field))}</th><td class="n">${formatCount(s[field])}</td><td>${mark}</td></tr>`
  })
  const verdict = page.sentence(text.explainCheck(s), text.checkPassed(s) ? 'good' : 'bad')
  return `<table class="narrow"><tbody>${rows.join('')}</tbody></table>${verdict}`
}

function scroll(table: string): string {
  return `<div class="scroll" tabindex="0">${table}</div>`
}

function bar(ratio: number, kind = 'share'): string {
  return `<div class="bar ${kind}" style="--w:${px(Math.min(1, ratio) * 100)}%"></div>`
}

function px(value: number): string {
  return String(Math.round(value * 100) / 100)
}

const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1c2330;--muted:#667085;--line:#e3e7ee;--main:#0f8a5f;--soft:#8fcdb5;--accent:#3b6fd4;--bad:#b42318}
@media(prefers-color-scheme:dark){:root{--bg:#12151b;--card:#1a1f28;--ink:#e6e9ef;--muted:#98a2b3;--line:#2c3440;--main:#3dbd8d;--soft:#24694f;--accent:#7aa2f0;--bad:#f97066}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
header,main{max-width:1120px;margin:0 auto;padding:0 20px}
header{padding-top:28px}h1{font-size:26px;margin:0}h2{font-size:19px;margin:0 0 12px}h3{font-size:16px;margin:0 0 10px}
.muted{color:var(--muted)}
small{font-weight:400;color:var(--muted)}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px;margin:16px 0}
article{border-top:1px solid var(--line);padding:16px 0}article:first-of-type{border-top:0;padding-top:0}
.cards{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;margin:16px 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 16px}.card b{display:block;font-size:24px;line-height:1.3;font-variant-numeric:tabular-nums}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(250px,1fr));gap:0 28px;margin:0}
.figures div{display:flex;justify-content:space-between;gap:12px;border-bottom:1px solid var(--line);padding:6px 0}.figures dd{margin:0;font-weight:600;font-variant-numeric:tabular-nums;white-space:nowrap}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:5px 8px;border-bottom:1px solid var(--line);font-weight:400;vertical-align:middle}
thead th{color:var(--muted);font-size:.92em}th[scope=row]{white-space:nowrap}tfoot th,tfoot td,.total{font-weight:600}caption{text-align:left;font-weight:600;padding:10px 0 4px}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.wide{width:50%}.counts .wide{width:30%}.narrow{max-width:460px}
.heat{background:color-mix(in srgb,var(--soft) var(--heat),transparent)}
.bar{height:12px;border-radius:3px;background:var(--main);width:var(--w);min-width:1px}.bar.touchUnit,.bar.count{background:var(--soft)}
.scroll{overflow-x:auto}.two{display:grid;grid-template-columns:3fr 2fr;gap:28px}.three{display:grid;grid-template-columns:repeat(3,1fr);gap:28px}
.two>div,.three>*{min-width:0}.three{align-items:start}
svg{display:block;width:100%;height:auto}svg text{fill:var(--ink);font-size:15px}.sankey{margin:0 0 12px}
.ribbons path{fill:none;opacity:.42}.ribbons path:hover{opacity:.75}.nodes rect{fill:var(--muted)}
.r0{stroke:#3b6fd4}.r1{stroke:#0f8a5f}.r2{stroke:#c98a1b}.r3{stroke:#8a5cc9}.r4{stroke:#c4555f}.r5{stroke:#4f9fb0}.r6{stroke:#7d8799}.r7{stroke:#b0579a}
.interval{max-width:440px}.interval text{font-size:11px;fill:var(--muted)}.axis{stroke:var(--line);stroke-width:2}.zero{stroke:var(--muted);stroke-dasharray:3 3}
.ci{stroke:var(--accent);stroke-width:2.5;fill:none}.interval circle{fill:var(--accent)}
.good{color:var(--main)}.bad{color:var(--bad)}.say{margin:10px 0 0}
@media(max-width:720px){header,main{padding-left:12px;padding-right:12px}section{padding:14px}.cards{grid-template-columns:repeat(2,1fr)}.two,.three{grid-template-columns:1fr;gap:12px}.sankey{display:none}.wide{width:30%}.scroll .wide{width:18%}.scroll th,.scroll td{padding:5px}.card b{font-size:20px}}
@media print{body{background:#fff}section,article,.card,tr{break-inside:avoid}section{border:0;padding:8px 0}.scroll{overflow:visible}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`
