import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { RunResult } from '../../bench/result.js'
import { parseInput } from '../../src/parse.js'
import { compiled } from '../support/compiled.js'

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'siyu-month-test-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

describe('npm run bench -- wecom-month', () => {
  it('plays a small company twice, with every callback understood and the same event log', async () => {
    const json = join(dir, 'run.json')
    const args = [compiled('bench/run.ts'), 'wecom-month', '--scale', 'tiny', '--json', json]
    const child = spawn(process.execPath, args, {
      env: { PATH: process.env.PATH ?? '', TMPDIR: dir },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let err = ''
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    const [code] = (await once(child, 'close')) as [number | null]
    expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' })
    const { rounds } = parseInput(RunResult, JSON.parse(await readFile(json, 'utf8'))).benchmarks[0]!.cases[0]!.product
    const [first, second] = rounds.map((round) => round.figures!)
    expect(second).toMatchObject({ sameEventLogAsFirst: 1, events: first!['events'], callbacks: first!['callbacks'] })
    expect(first!['messages']).toBeGreaterThan(5)
    expect(first!['apiCalls']).toBeGreaterThan(5)
    expect(first!['callbacks']).toBeGreaterThan(3)
  })
})
