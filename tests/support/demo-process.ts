import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { unitOf } from '../../src/random.js'
import { type Ended, textOf } from './run-siyu.js'
import { waitUntil } from './wait-until.js'

/**
 * How far a demo has come: 0 at its start, 1 to 10 for the tenths of history, 11 to 20 for those of the live phase, as its
 * progress lines tell.
 */
type Mark = number
export const HISTORY_DONE: Mark = 10
export const LIVE_DONE: Mark = 20

/** A moment of a run: so long after a mark, yet before the next one, whatever else the machine is doing. */
export type Moment = { mark: Mark; afterMs: number }

export type DemoProcess = {
  readonly pid: number
  /** When which mark was reached, in ms since the start. */
  readonly timeline: readonly { mark: Mark; atMs: number }[]
  readonly ended: Promise<Ended>
  /** Resolves once this mark or a later one is reached, or the process has ended. */
  reached(mark: Mark): Promise<void>
  /** Waits for something that it says to people. */
  said(pattern: RegExp): Promise<RegExpExecArray>
  /** As Ctrl-C does. */
  stop(): Promise<Ended>
  /** SIGKILL to its whole process group. */
  kill(): Promise<Ended>
}

/** To draw moments to kill at that are uniform in time. Nothing is asserted on it. */
// eslint-disable-next-line no-restricted-syntax -- see above
const nowMs = () => performance.now()

const running = new Set<DemoProcess>()

/** Compiles the project, as the demo's users run it. */
export async function buildProject(): Promise<void> {
  const child = spawn(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'])
  const [out, err] = [textOf(child.stdout), textOf(child.stderr)]
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`the project does not compile:\n${out()}${err()}`)
}

/** Starts the built `siyu demo` in a process group of its own, with none of the caller's settings in its environment. */
export function startDemo(args: readonly string[], env: Readonly<Record<string, string>> = {}): DemoProcess {
  const child = spawn(process.execPath, [resolve('dist/src/main.js'), 'demo', '--lang', 'en', ...args], {
    detached: true,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const pid = child.pid
  if (pid === undefined) throw new Error('the demo cannot be started')
  const startedMs = nowMs()
  const timeline = [{ mark: 0, atMs: 0 }]
  let waiting: { mark: Mark; done: () => void }[] = []
  const tell = (mark: Mark) => {
    for (const one of waiting) if (one.mark <= mark) one.done()
    waiting = waiting.filter((one) => one.mark > mark)
  }
  const note = (mark: Mark) => {
    if (mark > timeline.at(-1)!.mark) timeline.push({ mark, atMs: nowMs() - startedMs })
    tell(mark)
  }
  const [out, err] = [textOf(child.stdout), textOf(child.stderr)]
  child.stderr.on('data', () => note(lastMark(err())))
  const ended = once(child, 'close').then(([code]) => {
    running.delete(demo)
    tell(Infinity)
    return { code: code as number | null, out: out(), err: err() }
  })
  const demo: DemoProcess = {
    pid,
    timeline,
    ended,
    reached: (mark) =>
      timeline.at(-1)!.mark >= mark || !running.has(demo)
        ? Promise.resolve()
        : new Promise((done) => waiting.push({ mark, done })),
    said: async (pattern) => {
      const what = `the demo to say ${pattern.source}`
      await waitUntil(() => pattern.test(err()) || !running.has(demo), { what })
      const found = pattern.exec(err())
      if (found === null) throw new Error(`it ended without saying ${pattern.source}:\n${err()}`)
      return found
    },
    stop: async () => {
      if (running.has(demo)) process.kill(pid, 'SIGINT')
      return ended
    },
    kill: async () => {
      if (running.has(demo)) process.kill(-pid, 'SIGKILL')
      return ended
    },
  }
  running.add(demo)
  return demo
}

/** Runs `siyu demo` to its end. */
export async function runDemo(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended> {
  return startDemo(args, env).ended
}

/** Ends what a failed test has left running. */
export async function killDemos(): Promise<void> {
  await Promise.all([...running].map((demo) => demo.kill()))
}

/** `count` moments of the run with this timeline, uniform in time up to the end of the live phase, earliest first. */
export function drawMoments(seed: number, count: number, timeline: DemoProcess['timeline']): Moment[] {
  const untilMs = timeline.find(({ mark }) => mark === LIVE_DONE)!.atMs
  return Array.from({ length: count }, (_, i) => unitOf('kill', seed, i) * untilMs)
    .sort((a, b) => a - b)
    .map((atMs) => {
      const last = timeline.findLast((one) => one.atMs <= atMs)!
      return { mark: last.mark, afterMs: atMs - last.atMs }
    })
}

/** Starts a demo, kills it at the first moment, starts it again, and so on; after the last it may end. */
export async function runWithKills(
  start: (attempt: number) => DemoProcess,
  moments: readonly Moment[],
): Promise<{ killedAt: Mark[]; ended: Ended }> {
  const killedAt: Mark[] = []
  for (const [attempt, { mark, afterMs }] of moments.entries()) {
    const demo = start(attempt)
    await demo.reached(mark)
    const late = new AbortController()
    await Promise.race([sleep(afterMs, undefined, { signal: late.signal }).catch(ignoreAbort), demo.reached(mark + 1)])
    late.abort()
    const ended = await demo.kill()
    if (ended.code !== null) throw new Error(`it ended by itself before kill ${attempt + 1}:\n${ended.err}`)
    killedAt.push(demo.timeline.at(-1)!.mark)
  }
  return { killedAt, ended: await start(moments.length).ended }
}

function ignoreAbort(err: unknown): void {
  if ((err as Error).name !== 'AbortError') throw err
}

function lastMark(text: string): Mark {
  let mark = 0
  for (const [, phase, tenths] of text.matchAll(/(Loading history|Living \d+ days) {2}(?:(\d+) %|done)/g))
    mark = (phase === 'Loading history' ? 0 : HISTORY_DONE) + (tenths === undefined ? 10 : Number(tenths) / 10)
  return mark
}
