import type { DemoReport, JourneyFigures } from './demo-report.js'
import { displayWidth, padEnd, padStart, truncate } from '../src/print/display-width.js'
import * as text from './report-text.js'
import { formatCount, formatRatio, formatMinor } from '../src/print/numbers.js'
import { type Bilingual, nameOf, SOURCE_FIELDS } from '../src/print/words.js'
import type { DemoNames, Locale } from './names.js'

/** `width` in terminal cells, at least 60. */
export type RenderOptions = { locale: Locale; width: number; colour: boolean; names: DemoNames }

/** How many guides the terminal lists; the HTML report has all. */
const GUIDES_SHOWN = 12

/** The demo's report for a terminal: tables, bars and intervals, ending in a newline. No line is wider than `width`. */
export function renderReport(report: DemoReport, options: RenderOptions): string {
  const page = pen({ ...options, width: Math.max(60, options.width) })
  const sections = [
    heading(report, page),
    source(report, page),
    identity(report, page),
    tags(report, page),
    stages(report, page),
    journeys(report, page),
    touches(report, page),
    tasks(report, page),
    sandbox(report, page),
  ]
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

type Pen = ReturnType<typeof pen>
type Column = { head: string; align?: 'right' }

function pen({ locale, width, colour, names }: RenderOptions) {
  const ansi = (code: number) => (s: string) => (colour ? `\u001b[${code}m${s}\u001b[0m` : s)
  const [bold, dim, red, green, cyan] = [ansi(1), ansi(2), ansi(31), ansi(32), ansi(36)]
  const say = (words: Bilingual) => words[locale]
  return {
    width,
    bold,
    dim,
    red,
    green,
    cyan,
    say,
    name: names,
    title: (label: Bilingual) => {
      const line = `━━ ${say(label)} `
      return bold(cyan(line + '━'.repeat(Math.max(0, width - displayWidth(line)))))
    },
    /** A text of one or two sentences, folded. */
    prose: (words: Bilingual) => fold(say(words), width - 2).map((line) => `  ${line}`),
  }
}

function heading({ seed, from, to, days }: DemoReport, page: Pen): string[] {
  const title = `${page.say(text.TITLES.siyu)} · ${page.say(text.TITLES.report)}`
  return [
    page.bold(title),
    ...fold(
      `${from} → ${to} · ${days} ${page.say(text.TITLES.days)} · ${page.say(text.TITLES.seed)} ${seed}`,
      page.width,
    ).map(page.dim),
  ]
}

function source({ source: s }: DemoReport, page: Pen): string[] {
  const rows = SOURCE_FIELDS.map((field) => [
    page.say(nameOf(field)),
    field === 'grossMinor' || field === 'netMinor' ? formatMinor(s[field], s.currency) : formatCount(s[field]),
  ])
  return [page.title(text.TITLES.source), ...pairs(rows, page)]
}

function identity({ identity: i }: DemoReport, page: Pen): string[] {
  const rows = text.IDENTITY_FIELDS.map((field) => [
    page.say(nameOf(field)),
    field === 'precision' || field === 'recall' ? formatRatio(i[field], 2) : formatCount(i[field]),
  ])
  return [page.title(text.TITLES.identity), ...pairs(rows, page)]
}

function tags({ tags: all }: DemoReport, page: Pen): string[] {
  const rows = Object.entries(all)
    .sort(([a, x], [b, y]) => y.profiles - x.profiles || (a < b ? -1 : 1))
    .map(([id, { profiles, coverage }]) => [id, formatCount(profiles), formatRatio(coverage), coverage] as const)
  const columns: Column[] = [
    { head: page.say(text.TITLES.tag) },
    { head: page.say(nameOf('profiles')), align: 'right' },
    { head: page.say(text.TITLES.coverage), align: 'right' },
    { head: '' },
  ]
  const cells = rows.map(([id, profiles, share, coverage]) => [
    truncate(page.name('tag', id), 32),
    profiles,
    share,
    bar(coverage, Math.max(5, Math.min(30, page.width - 56))),
  ])
  return [page.title(text.TITLES.tags), ...table(columns, cells, page)]
}

function stages({ stages: s }: DemoReport, page: Pen): string[] {
  const names = text.stagesOf(s)
  const labels = [page.say(text.TITLES.fromTo), ...names.map((name) => page.name('stage', name))]
  const labelCells = Math.min(18, Math.max(...labels.map(displayWidth)))
  const cells = Math.max(5, Math.floor((page.width - 2 - labelCells) / (names.length + 1)) - 2)
  const short = (name: string, room: number) => truncate(page.name('stage', name), room)
  const columns: Column[] = [
    { head: truncate(page.say(text.TITLES.fromTo), labelCells) },
    ...names.map((name) => ({ head: short(name, cells), align: 'right' as const })),
    { head: truncate(page.say(text.TITLES.total), cells), align: 'right' },
  ]
  const rows = names.map((from) => [
    short(from, labelCells),
    ...names.map((to) => (s.matrix[from]?.[to] ? formatCount(s.matrix[from][to]) : '·')),
    formatCount(s.atStart[from] ?? 0),
  ])
  const total = [
    page.say(text.TITLES.total),
    ...names.map((name) => formatCount(s.atEnd[name] ?? 0)),
    formatCount(Object.values(s.atEnd).reduce((sum, n) => sum + n, 0)),
  ]
  return [page.title(text.TITLES.stages), ...table(columns, [...rows, total], page)]
}

function journeys({ journeys: all }: DemoReport, page: Pen): string[] {
  const reach = text.effectReach(all)
  const parts = Object.entries(all).map(([id, journey]) => journeyLines(id, journey, reach, page))
  return [page.title(text.TITLES.journeys), ...parts.flatMap((lines) => [...lines, '']), ...page.prose(text.TRUTH)]
}

function journeyLines(id: string, journey: JourneyFigures, reach: number, page: Pen): string[] {
  const funnel = text.funnelOf(journey)
  const most = Math.max(1, ...funnel.map((step) => step.count))
  const steps = funnel.map(({ key, count, unit }) => [
    page.say(nameOf(key)),
    formatCount(count),
    page.say(text.TITLES[unit]),
    bar(count / most, Math.min(40, page.width - 48)),
  ])
  const arms = text
    .armsOf(journey)
    .map(({ key, n, x, ratio }) => [
      `${page.say(nameOf('bought'))} · ${page.say(nameOf(key))}`,
      `${formatCount(x)} / ${formatCount(n)}`,
      formatRatio(ratio, 2),
    ])
  const reasons = text.byCount(journey.suppressed)
  const { changedArms } = journey
  const changed = changedArms === 0 ? '' : `, ${page.say(nameOf('changedArms'))} ${formatCount(changedArms)}`
  return [
    `  ${page.bold(page.name('journey', id))}  ${page.say(nameOf('entered'))} ${formatCount(journey.entered)}, ${page.say(nameOf('heldOut'))} ${formatCount(journey.heldOut)}${changed}`,
    ...table([{ head: '' }, { head: '', align: 'right' }, { head: '' }, { head: '' }], steps, page),
    ...list(text.TITLES.byReason, reasons, page),
    ...table([{ head: '' }, { head: '', align: 'right' }, { head: '', align: 'right' }], arms, page),
    ...fold(`${page.say(text.TITLES.difference)}: ${text.formatEffect(journey.effect)}`, page.width - 2).map(
      (l) => `  ${l}`,
    ),
    ...drawInterval(journey.effect, reach, page.width < 70 ? 51 : 61).map((line) => `    ${line}`),
    ...page.prose(text.explainEffect(journey.effect)),
  ]
}

function touches({ touches: t }: DemoReport, page: Pen): string[] {
  return [
    page.title(text.TITLES.touches),
    `  ${page.say(nameOf('planned'))}: ${formatCount(t.planned)}`,
    ...list(text.TITLES.byState, text.byCount(t.byState), page),
    ...list(text.TITLES.byChannel, text.byCount(t.byChannel), page),
    ...list(text.TITLES.byReason, text.byCount(t.byReason), page),
  ]
}

function tasks({ tasks: all }: DemoReport, page: Pen): string[] {
  const states = text.taskStatesOf(all)
  const sum = (task: Record<string, number>) => (task['open'] ?? 0) + (task['done'] ?? 0)
  const guides = Object.entries(all).sort(([a, x], [b, y]) => sum(y) - sum(x) || (a < b ? -1 : 1))
  const cellsOf = (task: Record<string, number>) => states.map((state) => formatCount(task[state] ?? 0))
  const totals = Object.fromEntries(states.map((s) => [s, guides.reduce((n, [, task]) => n + (task[s] ?? 0), 0)]))
  const columns: Column[] = [
    { head: page.say(text.TITLES.guide) },
    ...states.map((state) => ({ head: page.say(nameOf(state)), align: 'right' as const })),
  ]
  const rows = guides
    .slice(0, GUIDES_SHOWN)
    .map(([guide, task]) => [truncate(page.name('guide', guide), 32), ...cellsOf(task)])
  const rest = guides.length - rows.length
  return [
    page.title(text.TITLES.tasks),
    ...table(columns, [...rows, [page.say(text.TITLES.total), ...cellsOf(totals)]], page),
    ...(rest > 0
      ? page.prose({ zh: `另有 ${rest} 位导购，见 HTML 报告。`, en: `${rest} more guides in the HTML report.` })
      : []),
  ]
}

function sandbox({ sandbox: s }: DemoReport, page: Pen): string[] {
  const rows = text.SANDBOX_FIELDS.map(([field, kind]) => [
    page.say(nameOf(field)),
    formatCount(s[field]),
    kind === 'figure' ? '' : s[field] === 0 ? page.green('✓') : page.red('✗'),
  ])
  const colour = text.checkPassed(s) ? page.green : page.red
  return [
    page.title(text.TITLES.sandbox),
    ...table([{ head: '' }, { head: '', align: 'right' }, { head: '' }], rows, page),
    ...page.prose(text.explainCheck(s)).map(colour),
  ]
}

/** Columns padded to the widest cell, two spaces between and before, cut at the page's width. */
function table(columns: readonly Column[], rows: readonly (readonly string[])[], page: Pen): string[] {
  const widths = columns.map(({ head }, i) =>
    Math.max(displayWidth(head), ...rows.map((row) => displayWidth(row[i] ?? ''))),
  )
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, i) => (align === 'right' ? padStart : padEnd)(cells[i] ?? '', widths[i]!))
      .join('  ')
      .replace(/ +$/, '')
  const heads = columns.map(({ head }) => head)
  const shown = (cells: readonly string[]) => {
    const drawn = line(cells)
    return `  ${displayWidth(drawn) > page.width - 2 ? truncate(drawn, page.width - 2) : drawn}`
  }
  return [...(heads.some((head) => head !== '') ? [page.dim(shown(heads))] : []), ...rows.map(shown)]
}

/** Name and figure, in two columns when the page is wide enough. */
function pairs(rows: readonly (readonly string[])[], page: Pen): string[] {
  const columns: Column[] = [{ head: '' }, { head: '', align: 'right' }]
  const one = table(columns, rows, page)
  const half = Math.ceil(rows.length / 2)
  const left = table(columns, rows.slice(0, half), page)
  const right = table(columns, rows.slice(half), page)
  const leftCells = Math.max(...left.map(displayWidth))
  const two = left.map((line, i) => (right[i] === undefined ? line : `${padEnd(line, leftCells)}  ${right[i]}`))
  return Math.max(...two.map(displayWidth)) <= page.width ? two : one
}

/** `title: a 1 · b 2`, broken between the items; nothing for an empty list. */
function list(title: Bilingual, entries: readonly (readonly [string, number])[], page: Pen): string[] {
  const lines: string[] = []
  for (const [i, [key, count]] of entries.entries()) {
    const item = `${page.say(nameOf(key))} ${formatCount(count)}`
    const last = lines.at(-1) ?? ''
    if (i === 0) lines.push(`  ${page.say(title)}: ${item}`)
    else if (displayWidth(`${last} · ${item}`) > page.width) lines.push(`    ${item}`)
    else lines[lines.length - 1] = `${last} · ${item}`
  }
  return lines
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A bar of at most `cells` cells; anything above zero shows. */
function bar(ratio: number, cells: number): string {
  const eighths = ratio <= 0 ? 0 : Math.max(1, Math.round(Math.min(1, ratio) * cells * 8))
  return '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8]!
}

/** The interval over an axis of an odd number of cells from `-reach` to `+reach`, and the axis' figures below. */
function drawInterval(effect: JourneyFigures['effect'], reach: number, cells: number): string[] {
  if (effect.estimate === null) return []
  const at = (value: number) => Math.round(((value + reach) / (2 * reach)) * (cells - 1))
  const [low, estimate, high, zero] = [effect.low, effect.estimate, effect.high, 0].map(at) as [
    number,
    number,
    number,
    number,
  ]
  const drawn = Array.from({ length: cells }, (_, i) => {
    if (i === estimate) return '●'
    if (i === low) return '├'
    if (i === high) return '┤'
    if (i === zero) return '┊'
    return i > low && i < high ? '─' : ' '
  })
  const [left, right] = [text.formatPoints(-reach), text.formatPoints(reach)]
  return [drawn.join('').trimEnd(), padEnd(left, zero) + '0' + padStart(right, cells - zero - 1)]
}

/** Breaks a text at spaces, and within Chinese anywhere but before punctuation, into lines of at most `cells`. */
function fold(whole: string, cells: number): string[] {
  const pieces = whole.match(/\s*(?:[\u3400-\u9fff][，。：；、）]*|[^\s\u3400-\u9fff]+)/gu) ?? []
  const lines: string[] = []
  let line = ''
  for (const piece of pieces) {
    if (line !== '' && displayWidth(line + piece) > cells) {
      lines.push(line)
      line = piece.trimStart()
    } else line += line === '' ? piece.trimStart() : piece
  }
  return line === '' ? lines : [...lines, line]
}
