import type { Command } from 'commander'
import type { Config, Env } from '../config.js'
import type { Known } from '../domain/rules/known.js'
import { ConfigError, formatProblem, messageOf } from '../errors.js'
import { about, type Finding } from '../services/runtime/finding.js'
import type { OperationName, OperationResult } from '../services/runtime/operations.js'
import type { Clock } from '../time.js'
import { forCell } from '../escape.js'
import { inLanguage, said } from '../said.js'
import { displayWidth, padEnd, wrap } from '../print/display-width.js'
import { type CommandContext, configOption, examples, languageOf, type WithConfig } from './options.js'

export function registerDoctor(program: Command, { env }: CommandContext): void {
  program
    .command('doctor')
    .description(
      '上线前体检：凭证、可信 IP、可见范围、权限、回调、时钟、存储，什么都不改 · checks credentials, trusted IP, range, rights, callback, clock and stores; changes nothing',
    )
    .addOption(configOption())
    .option('--json', '给程序读 · for programs', false)
    .addHelpText('after', examples('siyu doctor', 'siyu doctor --json'))
    .action(async (options: WithConfig & { json: boolean }) => {
      if (!(await doctorCommand(options, env))) process.exitCode = 1
    })
}

export type DoctorCommand = { config: string; json: boolean }

const SIGNS: Readonly<Record<Finding['state'], string>> = { ok: '✓', failed: '✗', warned: '!', skipped: '–' }

/** `siyu doctor`: what is right, what is not, and where to click. Resolves to whether nothing failed. */
export async function doctorCommand(
  command: DoctorCommand,
  env: Env,
  write: (text: string) => void = (text) => void process.stdout.write(text),
  clock?: Clock,
): Promise<boolean> {
  const { findings, locale } = await examine(command.config, env, clock)
  const healthy = findings.every((f) => f.state !== 'failed')
  write(
    command.json
      ? `${JSON.stringify({ healthy, findings }, null, 2)}\n`
      : textOf(findings, locale, process.stdout.columns ?? 100),
  )
  return healthy
}

async function examine(
  file: string,
  env: Env,
  clock: Clock | undefined,
): Promise<{ findings: Finding[]; locale: 'zh' | 'en' }> {
  const { loadConfig } = await import('../config.js')
  const { doctorParts } = await import('../app/doctor-parts.js')
  const { checkPlaceholders } = await import('../app/check-placeholders.js')
  const { callService, findService } = await import('../app/running-service.js')
  const { checkDefinitions, textsOf } = await import('../services/definitions/load-definitions.js')
  const { kindNames } = await import('../services/definitions/kinds.js')
  const { runDoctor } = await import('../services/runtime/run-doctor.js')
  const check = about('config', said('配置文件', 'configuration'))
  let config: Config
  try {
    config = await loadConfig({ file, env })
  } catch (err) {
    if (!(err instanceof ConfigError)) throw err
    const { problems } = err
    const locale = await languageOf({ env, options: { config: file } })
    const fix = problems.map((p) => formatProblem(p, locale)).join('\n')
    const found = said(`${file}：${problems.length} 个问题`, `${file}: ${problems.length} problems`)
    return { findings: [check.failed(found, fix)], locale }
  }
  const service = await findService(config)
  /** What the running service answers. */
  const ask = async <N extends OperationName>(name: N, input: object = {}) =>
    service === undefined ? undefined : ((await callService(service, `/v1/${name}`, input)) as OperationResult<N>)
  const status = await ask('sending', { action: 'status' })
  const serving = (await ask('wecom/serving'))?.userIds
  const past = await ask('past')
  const held = await ask('journeys/held')
  const heldTouches = await ask('touches/held')
  const reactions = await ask('tags/reactions')
  const lanes = await ask('lanes')
  const unknownEvents = (await ask('ingest/unknown'))?.events
  const unfit = (await ask('documents/unfit'))?.documents
  const { problems, known } = await checkDefinitions(config.paths, { names: kindNames, ...textsOf(config) })
  const parts = await doctorParts(config, {
    ...(clock !== undefined && { clock }),
    ...(service !== undefined && { serviceUrl: service.url }),
    ...(serving !== undefined && { serving }),
  })
  const findings = await runDoctor({
    ...parts,
    ...(past !== undefined && { past }),
    timeZone: config.brand.timeZone,
    problems: [...problems, ...(await sourceProblems(config, known))],
    placeholders: checkPlaceholders(config, file),
    ...(held !== undefined && { held }),
    ...(heldTouches !== undefined && { heldTouches }),
    ...(reactions !== undefined && { reactions }),
    ...(lanes !== undefined && { lanes }),
    ...(unknownEvents !== undefined && { unknownEvents }),
    ...(unfit !== undefined && { unfit }),
    sending: { ...config.sending, ...(status !== undefined && { status }) },
  })
  const running =
    service === undefined
      ? said(`${file}；服务没有运行`, `${file}; the service is not running`)
      : said(`${file}；服务在 ${service.url}`, `${file}; the service is at ${service.url}`)
  return { findings: [check.ok(running), ...findings], locale: config.brand.locale }
}

async function sourceProblems(config: Config, known: Known) {
  const { checkSources } = await import('../app/check-sources.js')
  try {
    return await checkSources(config, known)
  } catch (err) {
    return [{ path: 'sources', message: messageOf(err) }]
  }
}

/** What was found, below it what to do. @param width - of the terminal in cells: nothing is cut, what is long goes on below */
function textOf(findings: readonly Finding[], locale: 'zh' | 'en', width: number): string {
  const say = (text: string) => inLanguage(text, locale)
  const titleCells = Math.max(...findings.map((f) => displayWidth(say(f.title))))
  const indent = ' '.repeat(titleCells + 4)
  const lines = findings.flatMap((f) => {
    const [first = '', ...rest] = wrap(forCell(say(f.found)), Math.max(20, width - indent.length))
    return [
      `${SIGNS[f.state]} ${padEnd(say(f.title), titleCells)}  ${first}`.trimEnd(),
      ...rest.map((line) => `${indent}${line}`),
    ]
  })
  const toDo = new Map<string, Finding[]>()
  for (const f of findings) {
    if (f.fix === undefined || f.state === 'ok') continue
    const same = `${SIGNS[f.state]}${f.fix}`
    toDo.set(same, [...(toDo.get(same) ?? []), f])
  }
  const fixes = [...toDo.values()].flatMap((same) => [
    ...hanging(`${SIGNS[same[0]!.state]} `, same.map((f) => say(f.title)).join(locale === 'zh' ? '、' : ', '), width),
    ...say(same[0]!.fix!)
      .split('\n')
      .flatMap((fix) => hanging('    → ', fix, width)),
  ])
  const failed = findings.filter((f) => f.state === 'failed').length
  const end =
    failed === 0 ? said('✓ 可以开始', '✓ ready') : said(`✗ ${failed} 项要先解决`, `✗ ${failed} to be settled first`)
  return [...lines, '', ...fixes, ...(fixes.length === 0 ? [] : ['']), say(end), ''].join('\n')
}

/** A text in lines, all of them as far in as the first. */
function hanging(first: string, text: string, width: number): string[] {
  const indent = ' '.repeat(first.length)
  return wrap(text, Math.max(20, width - first.length)).map((line, i) => `${i === 0 ? first : indent}${line}`)
}
