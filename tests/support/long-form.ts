import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'

/** Only with `SIYU_LONG=1`: the long form of a suite keeps in `bench/results` what it tried, one part after the other. */
export class LongForm {
  private readonly parts: object[] = []
  private readonly before = loadavg()

  /** @param name - of the file @param command - what to type for it */
  constructor(
    private readonly name: string,
    private readonly command: string,
  ) {}

  /** Written anew with every part, so that a run which is cut off leaves those that were done. */
  async keep(part: object): Promise<void> {
    if (process.env.SIYU_LONG !== '1') return
    const { describeMachine, versions } = await import('../../bench/machine.js') // reads in half of the program
    this.parts.push(part)
    const kept = {
      command: `SIYU_LONG=1 ${this.command}`,
      commit: execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' }).trim(),
      versions: versions(),
      machine: await describeMachine(tmpdir()),
      load: { before: this.before, after: loadavg() },
      parts: this.parts,
    }
    writeFileSync(join('bench/results', `${this.name}.json`), `${JSON.stringify(kept, null, 2)}\n`)
  }
}
