import type { Command } from 'commander'
import type { ServiceOptions } from '../app/open-service.js'
import type { AuditLine, AuditVerdict } from '../services/runtime/audit.js'
import { displayWidth, truncate } from '../print/display-width.js'
import { formatCount } from '../print/numbers.js'
import { createProgress } from '../print/progress.js'
import { formatAt, renderTable } from '../print/table.js'
import { type CommandContext, configOption, examples, serviceOptions, wholeNumber, type WithConfig } from './options.js'
import { withService } from './with-service.js'

export function registerAudit(program: Command, context: CommandContext): void {
  program
    .command('audit')
    .description('谁在什么时候做了什么，最新的在前 · who did what, newest first')
    .option('--limit <n>', '最多几条，1 到 100 · rows at most, 1 to 100', wholeNumber, 50)
    .option('--before <n>', '只看这个序号之前的 · only rows before this number', wholeNumber)
    .option('--verify', '逐条核对，指出第一条被改动的 · check the chain and name the first broken row', false)
    .option('--json', '给程序读 · for programs', false)
    .addOption(configOption())
    .addHelpText('after', examples('siyu audit', 'siyu audit --before 120', 'siyu audit --verify'))
    .action(async (options: WithConfig & AuditCommand) => {
      if (!(await auditCommand(options, serviceOptions(options, context)))) process.exitCode = 1
    })
}

export type AuditCommand = { limit: number; before?: number; verify: boolean; json: boolean }

/** `siyu audit`: lists rows, or checks them all. Resolves to whether nothing was found broken. */
export async function auditCommand(command: AuditCommand, options: ServiceOptions): Promise<boolean> {
  return withService(options, async (service) => {
    const { limit, before, verify, json } = command
    const print = (value: object, text: string) =>
      void process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : text)
    if (verify) {
      const progress = createProgress({ stream: process.stderr, locale: service.config.brand.locale })
      progress.start('核对 · checking', 0)
      const verdict = await service.call('audit/verify', {}, (done) => progress.set(done))
      progress.done()
      print(verdict, verdictText(verdict))
      return verdict.broken === undefined
    }
    const page = await service.call('audit/list', { limit, ...(before === undefined ? {} : { before }) })
    const more = page.next === undefined ? '' : `更早的 earlier: siyu audit --before ${page.next} --limit ${limit}\n`
    print(page, renderAudit(page.rows, service.config.brand.timeZone, process.stdout.columns ?? Infinity) + more)
    return true
  })
}

const OUTCOMES: Readonly<Record<AuditLine['outcome'], string>> = {
  done: '完成 done',
  refused: '被拒 refused',
  failed: '失败 failed',
}

/** Rows as a table no wider than the terminal, as far as that goes: what it was done to gives way. */
export function renderAudit(rows: readonly AuditLine[], timeZone: string, width: number): string {
  const titles = ['序号 n', '时间 at', '谁 who', '操作 operation', '结果 outcome', '对象 target']
  const cells = rows.map((r) => [
    String(r.n),
    formatAt(r.at, timeZone),
    truncate(r.who, 24),
    r.operation,
    r.code === undefined ? OUTCOMES[r.outcome] : `${OUTCOMES[r.outcome]} ${r.code}`,
    r.target,
  ])
  const fixed = titles
    .slice(0, -1)
    .map((title, i) => Math.max(displayWidth(title), ...cells.map((row) => displayWidth(row[i]!))) + 2)
  const left = Math.max(displayWidth(titles.at(-1)!), width - fixed.reduce((sum, w) => sum + w, 0))
  return renderTable(
    titles.map((title, i) => (i === 0 ? { title, align: 'right' } : { title })),
    cells.map((row) => [...row.slice(0, -1), truncate(row.at(-1)!, left)]),
  )
}

const FAULTS: Readonly<Record<NonNullable<AuditVerdict['broken']>['what'], string>> = {
  missing: '缺失 is missing',
  changed: '内容被改动 was changed',
  'not the follower': '接不上前一条，前一条被重写 does not follow the row before, which was written anew',
}

export function verdictText({ rows, hash, broken }: AuditVerdict): string {
  if (broken !== undefined)
    return `✗ 第 ${broken.n} 条${FAULTS[broken.what]} · row ${broken.n}；此前 ${formatCount(rows)} 条完好 rows before it are whole\n`
  const last = rows === 0 ? '' : `\n  最后一条的哈希 hash of the last: ${hash}`
  return `✓ ${formatCount(rows)} 条，链条完好 · ${formatCount(rows)} rows, the chain is whole${last}\n`
}
