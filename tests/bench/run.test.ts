import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { renderRun } from '../../bench/report.js'
import { RunResult } from '../../bench/result.js'
import { displayWidth } from '../../src/print/display-width.js'
import { parseInput } from '../../src/parse.js'
import { compiled } from '../support/compiled.js'

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'siyu-bench-test-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

async function bench(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [compiled('bench/run.ts'), ...args], {
    env: { PATH: process.env.PATH ?? '', TMPDIR: dir },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out, err }
}

describe('npm run bench', () => {
  it('runs every usual benchmark small, writes its figures as JSON and leaves nothing behind', async () => {
    const json = join(dir, 'run.json')
    const { code, out, err } = await bench('--scale', 'tiny', '--json', json)
    expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' })
    const run = parseInput(RunResult, JSON.parse(await readFile(json, 'utf8')))
    expect(run.benchmarks.map((b) => b.name)).toEqual(['ingest', 'tag-refresh', 'journeys', 'documents'])
    for (const { product, baseline, ratio } of run.benchmarks.flatMap((b) => b.cases)) {
      expect(product.rounds).toHaveLength(3)
      expect(baseline?.rounds).toHaveLength(3)
      expect(product.perSecond.min).toBeGreaterThan(0)
      expect(product.perSecond.min).toBeLessThanOrEqual(product.perSecond.median)
      expect(ratio!.wall.median).toBeLessThanOrEqual(ratio!.wall.max)
    }
    expect(run.benchmarks[2]!.cases[0]!.product.rounds.at(-1)!.figures).toEqual({ messagesSoFar: 4 * 2 * 40 })
    expect(run.benchmarks[1]!.cases[0]!.product.rounds.every((r) => r.figures!['deltas']! > 50)).toBe(true)
    expect(out).toBe(renderRun(run, titlesIn(out)))
    expect((await readdir(dir)).filter((name) => name.startsWith('siyu-bench-'))).toEqual([])
  })

  it('prints columns that line up under Chinese titles', async () => {
    const { out } = await bench('--list')
    const [title, rule, first] = out.split('\n')
    const starts = [...rule!.matchAll(/─+/g)].map((m) => m.index)
    const baseline = starts.at(-1)!
    expect(displayWidth(title!.slice(0, title!.indexOf('基线')))).toBe(baseline)
    expect(displayWidth(first!.slice(0, first!.indexOf('the same events')))).toBe(baseline)
  })

  it('names the benchmarks when asked for one that is not there', async () => {
    const { code, err } = await bench('ingestion')
    expect(code).toBe(1)
    expect(err).toContain('"ingestion": ingest, tag-refresh, journeys, documents, demo')
  })
})

/** The titles as the table shows them, by benchmark. */
function titlesIn(out: string): Map<string, string> {
  return new Map([...out.matchAll(/^([a-z-]+) {2}(\S+ · .+?) {2}（/gm)].map((m) => [m[1]!, m[2]!]))
}
