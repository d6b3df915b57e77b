import { renderTable } from '../src/print/table.js'
import type { CaseResult, RunResult, Side, Spread } from './result.js'

/** One table a benchmark, for people; ends in a line break. */
export function renderRun(run: RunResult, titles: ReadonlyMap<string, string>): string {
  const { machine, load, versions } = run
  const head = [
    `${run.startedAt} – ${run.finishedAt}`,
    `${machine.cpu}, ${machine.cores} 核 cores, ${machine.memoryMiB} MiB, ${machine.system}, ${machine.fileSystem}`,
    `负载 Load (1, 5, 15 min): ${showLoad(load.before)} → ${showLoad(load.after)}`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    `$ ${run.command}`,
  ]
  const parts = run.benchmarks.map((b) =>
    [
      `${b.name}  ${titles.get(b.name) ?? ''}  （个 each = ${b.unit}；负载 load ${showLoad(b.load.before)} → ${showLoad(b.load.after)}）`,
      ...(b.baseline === '' ? [] : [`基线 Baseline: ${b.baseline}`]),
      '',
      renderTable(
        [
          { title: '用例 Case' },
          { title: '每轮 Items', align: 'right' },
          { title: '每秒 Per second', align: 'right' },
          { title: 'CPU/个 each', align: 'right' },
          { title: '内存 RSS', align: 'right' },
          { title: '基线/秒 Baseline/s', align: 'right' },
          { title: 'CPU/个 each', align: 'right' },
          { title: '耗时比 Wall ratio', align: 'right' },
          { title: 'CPU 比 ratio', align: 'right' },
        ],
        b.cases.map(toRow),
      ),
      ...figureLines(b.cases),
    ].join('\n'),
  )
  return [...head, '', ...parts].join('\n')
}

function toRow(c: CaseResult): string[] {
  return [
    c.name,
    String(c.items),
    showSpread(c.product.perSecond, show),
    showCpu(c.product.cpuMsPerItem.median),
    showRss(c.product),
    c.baseline === undefined ? '–' : show(c.baseline.perSecond.median),
    c.baseline === undefined ? '–' : showCpu(c.baseline.cpuMsPerItem.median),
    c.ratio === undefined ? '–' : showSpread(c.ratio.wall, show),
    c.ratio === undefined ? '–' : showSpread(c.ratio.cpu, show),
  ]
}

/** Further figures, round by round; one that never changes is shown once. */
function figureLines(cases: readonly CaseResult[]): string[] {
  const lines = cases.flatMap(({ name, product: { rounds } }) =>
    Object.keys(rounds[0]?.figures ?? {}).map((figure) => {
      const values = rounds.map((r) => r.figures?.[figure])
      return `${name}: ${figure} ${[...(new Set(values).size === 1 ? values.slice(0, 1) : values)].join(', ')}\n`
    }),
  )
  return lines.length === 0 ? [] : [lines.join('')]
}

/** `median (min–max)` */
function showSpread({ min, median, max }: Spread, as: (n: number) => string): string {
  return `${as(median)} (${as(min)}–${as(max)})`
}

/** Three digits that count: more than that is noise. */
function show(n: number): string {
  if (n === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(n))))
  return digits > 0 ? n.toFixed(digits) : String(Number(n.toPrecision(3)))
}

function showCpu(ms: number): string {
  if (ms >= 1_000) return `${show(ms / 1_000)} s`
  return ms >= 1 ? `${show(ms)} ms` : `${show(ms * 1_000)} µs`
}

function showRss({ rounds }: Side): string {
  const peaks = rounds.flatMap((r) => r.peakRssMiB ?? [])
  return peaks.length === 0 ? '–' : `${Math.max(...peaks)} MiB`
}

function showLoad(load: readonly number[]): string {
  return load.map((n) => n.toFixed(1)).join(' ')
}
