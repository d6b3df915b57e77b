import { join } from 'node:path'
import { runDemo } from '../demo/run-demo.js'
import { createProgress } from '../src/print/progress.js'
import { quietLog } from '../src/log.js'
import { type BenchContext, type Benchmark, compare, type Scale } from './measure.js'
import type { CaseResult } from './result.js'

const PLANS: Record<Scale, { days: number; rounds: number }> = {
  full: { days: 90, rounds: 3 },
  quick: { days: 1, rounds: 1 },
  tiny: { days: 1, rounds: 1 },
}

/** `siyu demo` from an empty directory to its report. Takes minutes, so it runs only when it is named. */
export const demo: Benchmark = {
  name: 'demo',
  title: { zh: '演示全程', en: 'The whole demo' },
  unit: { zh: '次', en: 'demo' },
  baseline: '',
  run: async ({ scale, dir, note }: BenchContext): Promise<CaseResult[]> => {
    const { days, rounds } = PLANS[scale]
    return [
      await compare(
        {
          name: `a year of orders, ${days} days live`,
          items: 1,
          warmups: 0,
          rounds,
          product: async (round) => {
            const run = await runDemo({
              dataDir: join(dir, `demo-${round}`),
              seed: 1,
              days,
              fresh: false,
              keep: false,
              env: {},
              log: quietLog,
              lang: 'en',
              progress: createProgress({ stream: process.stderr, quiet: true, locale: 'en' }),
              onProblem: () => undefined,
              onPage: () => undefined,
            })
            await run.close()
          },
        },
        note,
      ),
    ]
  },
}
