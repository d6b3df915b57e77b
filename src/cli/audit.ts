import type { Command } from 'commander'
import type { ServiceOptions } from '../app/open-service.js'
import type { AuditLine, AuditVerdict } from '../services/runtime/audit.js'
import { truncate } from '../print/display-width.js'
import { formatCount } from '../print/numbers.js'
import { createProgress } from '../print/progress.js'
import { columnsIn, fitTable, formatAt } from '../print/table.js'
import { type Bilingual, both } from '../print/words.js'
import { asCommand, bilingual, type Words } from '../said.js'
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
    const { locale, timeZone } = service.config.brand
    const words = bilingual(locale)
    if (verify) {
      const progress = createProgress({ stream: process.stderr, locale })
      progress.start(words('核对', 'checking'), 0)
      const verdict = await service.call('audit/verify', {}, (done) => progress.set(done))
      progress.done()
      print(verdict, verdictText(verdict, words))
      return verdict.broken === undefined
    }
    const page = await service.call('audit/list', { limit, ...(before === undefined ? {} : { before }) })
    const earlier = asCommand(`siyu audit --before ${page.next} --limit ${limit}`)
    const more = page.next === undefined ? '' : `${words('更早的：', 'earlier: ')}${earlier}\n`
    print(page, renderAudit(page.rows, { timeZone, words }, process.stdout.columns) + more)
    return true
  })
}

const OUTCOMES: Readonly<Record<AuditLine['outcome'], Bilingual>> = {
  done: both('完成', 'done'),
  refused: both('被拒', 'refused'),
  failed: both('失败', 'failed'),
}

/** Rows as a table no wider than the terminal. */
export function renderAudit(
  rows: readonly AuditLine[],
  { timeZone, words }: { timeZone: string; words: Words },
  width: number | undefined,
): string {
  return fitTable(
    columnsIn(
      words,
      ['序号', 'n', { align: 'right', whole: true }],
      ['时间', 'at', { whole: true }],
      ['谁', 'who'],
      ['操作', 'operation', { whole: true }],
      ['结果', 'outcome'],
      ['对象', 'target'],
    ),
    rows.map((r) => {
      const outcome = words(OUTCOMES[r.outcome].zh, OUTCOMES[r.outcome].en)
      return [
        String(r.n),
        formatAt(r.at, timeZone),
        truncate(r.who, 24),
        r.operation,
        r.code === undefined ? outcome : `${outcome} ${r.code}`,
        r.target,
      ]
    }),
    width,
  )
}

const FAULTS: Readonly<Record<NonNullable<AuditVerdict['broken']>['what'], Bilingual>> = {
  missing: both('缺失', 'is missing'),
  changed: both('内容被改动', 'was changed'),
  'not the follower': both('接不上前一条，前一条被重写', 'does not follow the row before, which was written anew'),
}

export function verdictText({ rows, hash, broken }: AuditVerdict, words: Words): string {
  const count = formatCount(rows)
  if (broken !== undefined) {
    const { zh, en } = FAULTS[broken.what]
    return `✗ ${words(`第 ${broken.n} 条${zh}；此前 ${count} 条完好`, `row ${broken.n} ${en}; ${count} rows before it are whole`)}\n`
  }
  const last = rows === 0 ? '' : `\n  ${words('最后一条的哈希：', 'hash of the last: ')}${hash}`
  return `✓ ${words(`${count} 条，链条完好`, `${count} rows, the chain is whole`)}${last}\n`
}
