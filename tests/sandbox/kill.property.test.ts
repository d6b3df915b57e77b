import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { identityOf } from '../../sandbox/identity.js'
import { intOf } from '../../src/random.js'
import { compiled } from '../support/compiled.js'
import { sized } from '../support/sized.js'
import { type Receiver, receiver } from './support.js'

const DAYS = 20
const KILLS = sized(12, 100)

const temporary: string[] = []
let app: Receiver
/** Of the child that runs: its dots and its callbacks. */
let signs = 0
let onSign = () => undefined as void
const sign = (count = 1) => {
  signs += count
  onSign()
}

beforeAll(async () => {
  const { corpId, app: secrets } = identityOf(7)
  app = await receiver(secrets, corpId, () => sign())
})
afterAll(async () => {
  await app.close()
  for (const dir of temporary) rmSync(dir, { recursive: true, force: true })
})

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sandbox-kill-'))
  temporary.push(dir)
  return dir
}

/** Runs the child until it ends, or kills it so long after so many signs of life; says which. */
function run(dir: string, killAt?: { signs: number; afterMs: number }): Promise<'ended' | 'killed'> {
  signs = 0
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [compiled('tests/sandbox/kill-child.ts'), dir, app.url, String(DAYS)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    child.stdout.on('data', (dots: Buffer) => sign(dots.length))
    let timer: NodeJS.Timeout | undefined
    onSign = () => {
      if (killAt !== undefined && signs > killAt.signs)
        timer ??= setTimeout(() => child.kill('SIGKILL'), killAt.afterMs)
    }
    child.on('exit', (code, signal) => {
      clearTimeout(timer)
      if (signal === 'SIGKILL') done('killed')
      else if (code === 0) done('ended')
      else failed(new Error(`child failed: ${errors}`))
    })
  })
}

describe('a sandbox that is killed', () => {
  it(`goes on as if nothing had happened, after ${KILLS} kills at any moment`, async () => {
    const calm = newDir()
    await run(calm)
    const whole = signs
    const undisturbed = app.callbacks.splice(0).map((c) => c.raw)
    const expected = JSON.parse(readFileSync(join(calm, 'log.json'), 'utf8')) as {
      log: unknown[]
      counts: { messages: number }
    }
    expect(expected.counts.messages).toBeGreaterThan(300)
    expect(undisturbed.length).toBeGreaterThan(50)

    const rough = newDir()
    let kills = 0
    for (let i = 0; kills < KILLS; i++) {
      // Somewhere between the child's start and a fifth of the whole way further, also between two signs.
      const outcome = await run(rough, { signs: intOf(Math.ceil(whole / 5), 'kill', i), afterMs: intOf(10, 'late', i) })
      if (outcome === 'ended') break
      kills++
    }
    await run(rough)
    expect(kills).toBeGreaterThanOrEqual(3)
    expect(JSON.parse(readFileSync(join(rough, 'log.json'), 'utf8'))).toEqual(expected)
    const received = app.callbacks.map((c) => c.raw)
    expect([...new Set(received)]).toEqual(undisturbed)
  })
})
