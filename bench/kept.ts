import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { ConfigError } from '../src/errors.js'
import { parseInput } from '../src/parse.js'
import { Round } from './result.js'

const Rounds = z.strictObject({ product: z.array(Round), baseline: z.array(Round) })
type Rounds = z.infer<typeof Rounds>
export type SideName = keyof Rounds
const State = z.strictObject({ of: z.record(z.string(), z.string()), cases: z.record(z.string(), Rounds) })

/** Rounds as they end, in a file, so that a benchmark that was cut off goes on where it stopped. */
export class KeptRounds {
  private constructor(
    private readonly file: string,
    private readonly state: z.infer<typeof State>,
  ) {}

  /**
   * @param of - what rounds must have in common to be shown beside each other
   * @throws {ConfigError} when the folder holds rounds of something else
   */
  static open(dir: string, of: Readonly<Record<string, string>>): KeptRounds {
    const file = join(dir, 'rounds.json')
    mkdirSync(dir, { recursive: true })
    if (!existsSync(file)) return new KeptRounds(file, { of, cases: {} })
    const state = parseInput(State, JSON.parse(readFileSync(file, 'utf8')), `${file} cannot be read`)
    const differing = Object.keys(of).filter((name) => state.of[name] !== of[name])
    if (differing.length === 0) return new KeptRounds(file, state)
    throw new ConfigError(
      'the folder holds rounds of something else',
      differing.map((name) => ({
        file,
        path: `of.${name}`,
        message: `is ${state.of[name] ?? 'missing'}, this is ${of[name]}`,
        hint: 'give another folder with --keep',
      })),
    )
  }

  of(name: string): Rounds {
    return this.state.cases[name] ?? { product: [], baseline: [] }
  }

  add(name: string, side: SideName, round: Round): void {
    const rounds = this.of(name)
    this.state.cases[name] = { ...rounds, [side]: [...rounds[side], round] }
    writeFileSync(`${this.file}.part`, `${JSON.stringify(this.state, null, 2)}\n`)
    renameSync(`${this.file}.part`, this.file)
  }
}

/** Of the built program in a folder: the same for the same code. */
export function buildOf(folder: string): string {
  const hash = createHash('sha256')
  for (const room of ['src', 'connectors', 'sandbox', 'demo']) {
    const dir = join(folder, 'dist', room)
    if (!existsSync(dir)) continue
    const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
    for (const name of files.sort()) hash.update(name).update(readFileSync(join(dir, name)))
  }
  return hash.digest('hex').slice(0, 12)
}
