import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { ConfigError } from '../src/errors.js'
import { parseInput } from '../src/parse.js'
import { HOUR_MS, systemClock } from '../src/time.js'
import { beside } from './beside.js'
import { demo } from './demo.js'
import { demoBytes } from './demo-bytes.js'
import { documents } from './documents.js'
import { identity } from './identity.js'
import { ingest } from './ingest.js'
import { journeys } from './journeys.js'
import { describeMachine, load, versions } from './machine.js'
import type { BenchContext, Benchmark, Scale } from './measure.js'
import { BenchResult, CaseResult, RESULT_VERSION, RunResult } from './result.js'
import { tagRefresh } from './tag-refresh.js'
import { tagRefreshLarge } from './tag-refresh-large.js'
import { workers } from './workers.js'
import { wecomCallbacks } from './wecom-callbacks.js'
import { wecomSync } from './wecom-sync.js'
import { wecomMonth } from './wecom-month.js'
import { versions as versionsBenchmark } from './versions.js'

export const benchmarks: readonly Benchmark[] = [
  ingest,
  tagRefresh,
  journeys,
  documents,
  demo,
  identity,
  tagRefreshLarge,
  wecomMonth,
  wecomSync,
  wecomCallbacks,
  versionsBenchmark,
  beside,
  workers,
  demoBytes,
]

/** Those that run without being named. */
export const usual: readonly Benchmark[] = [ingest, tagRefresh, journeys, documents]

/** Longer than any benchmark takes: one that hangs is ended. */
const TIMEOUT_MS = 5 * HOUR_MS

/** What only some benchmarks know: `against` and `rounds` of a `BenchContext`, and parts of the names of cases. */
export const Asked = z.object({
  against: z.string().optional(),
  rounds: z.number().optional(),
  only: z.array(z.string()).default([]),
})
export type Asked = z.infer<typeof Asked>

export type SuiteOptions = {
  scale: Scale
  /** As typed, for the record. */
  command: string
  note: (text: string) => void
  signal: AbortSignal
  asked: Asked
  /** Where rounds and filled stores stay; without it a temporary folder is removed at the end. */
  keep?: string | undefined
}

/** Runs benchmarks one after another, each in a process of its own: the memory of one is no part of the next. */
export async function runSuite(chosen: readonly Benchmark[], options: SuiteOptions): Promise<RunResult> {
  const startedAt = systemClock.now().toISOString()
  const before = load()
  const dir = options.keep === undefined ? await mkdtemp(join(tmpdir(), 'siyu-bench-')) : resolve(options.keep)
  try {
    const done: BenchResult[] = []
    for (const benchmark of chosen) {
      const loadBefore = load()
      const own = join(dir, benchmark.name)
      await mkdir(own, { recursive: true })
      const cases = await runApart(benchmark, own, options)
      const { name, baseline } = benchmark
      const unit = `${benchmark.unit.zh} ${benchmark.unit.en}`
      done.push({ name, unit, baseline, load: { before: loadBefore, after: load() }, cases })
    }
    return parseInput(RunResult, {
      version: RESULT_VERSION,
      command: options.command,
      scale: options.scale,
      startedAt,
      finishedAt: systemClock.now().toISOString(),
      versions: versions(),
      machine: await describeMachine(dir),
      load: { before, after: load() },
      benchmarks: done,
    })
  } finally {
    if (options.keep === undefined) await rm(dir, { recursive: true, force: true })
  }
}

/** What the child does: one benchmark, its cases handed back as a message. */
export async function runHere(name: string, scale: Scale, dir: string, asked: Asked): Promise<void> {
  const benchmark = benchmarks.find((b) => b.name === name)
  if (benchmark === undefined || process.send === undefined)
    throw new RangeError(`"${name}" was not started as a benchmark of a suite`)
  process.once('SIGTERM', () => process.exit(143)) // which ends what it has started
  const send = (message: unknown) => process.send!(message)
  const note = (text: string) => void send({ note: text })
  const only: BenchContext['only'] = (cases) => {
    const parts = asked.only
    const chosen = cases.filter((one) => parts.length === 0 || parts.some((part) => one.name.includes(part)))
    if (chosen.length > 0) return chosen
    throw new ConfigError(`${name} has no such case`, [
      {
        path: '--only',
        message: `"${parts.join('", "')}" is in no name`,
        hint: cases.map((one) => one.name).join('; '),
      },
    ])
  }
  send({ cases: await benchmark.run({ ...asked, scale, dir, note, only }) })
}

const Message = z.union([z.strictObject({ note: z.string() }), z.strictObject({ cases: z.array(CaseResult) })])

async function runApart(benchmark: Benchmark, dir: string, options: SuiteOptions): Promise<CaseResult[]> {
  const asked = JSON.stringify(options.asked)
  const args = ['--child', benchmark.name, '--scale', options.scale, '--dir', dir, '--asked', asked]
  const child = fork(process.argv[1]!, args, {
    signal: options.signal,
    timeout: TIMEOUT_MS,
    killSignal: 'SIGTERM',
  })
  let cases: CaseResult[] | undefined
  child.on('message', (message) => {
    const said = parseInput(Message, message, `benchmark ${benchmark.name} sent something else than its result`)
    if ('cases' in said) cases = said.cases
    else options.note(`${benchmark.name}  ${said.note}`)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0 || cases === undefined) throw new Error(`benchmark ${benchmark.name} ended with ${code} and no result`)
  return cases
}
