import { basename } from 'node:path'
import type { Command } from 'commander'
import type { Config, Env } from '../config.js'
import { formatProblem, InvalidInputError, type Problem } from '../errors.js'
import type { ShownKind } from '../services/definitions/load-definitions.js'
import { bilingual, inLanguage, said, type Words } from '../said.js'
import { columnsIn, fitTable } from '../print/table.js'
import { type CommandContext, configOption, localeOf, type WithConfig } from './options.js'

export function registerCheck(program: Command, { env }: CommandContext): void {
  program
    .command('check')
    .description(
      '检查配置、定义和数据源映射，什么都不改 · check configuration, definitions and mappings; changes nothing',
    )
    .addOption(configOption())
    .action(async (options: WithConfig) => checkCommand(options, env))
}

/**
 * `siyu check`: everything that is wrong with the files, at once, also where the configuration itself is not whole; opens no store.
 *
 * @throws {InvalidInputError}
 */
export async function checkCommand({ config: file }: { config: string }, env: Env): Promise<void> {
  const { readConfig } = await import('../config.js')
  const { checkPlaceholders } = await import('../app/check-placeholders.js')
  const { checkMappings, checkSources, unlistedMappings } = await import('../app/check-sources.js')
  const { checkDefinitions, textsOf } = await import('../services/definitions/load-definitions.js')
  const { kindNames } = await import('../services/definitions/kinds.js')
  const { config, part, problems: settings } = await readConfig({ file, env })
  const { brand, paths } = part
  const definitions =
    paths === undefined
      ? undefined
      : await checkDefinitions(paths, {
          names: kindNames,
          ...textsOf(part),
          // Where it leads cannot be known then: no content is to blame.
          ...(config === undefined && { hasSite: true }),
        })
  const placeholders = config === undefined ? undefined : checkPlaceholders(config, file)
  const known = definitions?.known
  const unlisted = await unlistedMappings(file, part.sources ?? [])
  const all = [
    ...settings,
    ...(definitions?.problems ?? []),
    ...(brand === undefined ? [] : await checkSources({ ...part, brand }, known)),
    ...(placeholders?.problems ?? []),
  ]
  const locale = brand?.locale ?? localeOf(env)
  const warnings = [
    ...(definitions?.warnings ?? []),
    ...(placeholders?.warnings ?? []),
    // Nothing depends on them before somebody imports them, and then they are looked at again.
    ...(brand === undefined ? [] : await checkMappings(unlisted, { ...part, brand }, known)),
  ]
  for (const warning of warnings) process.stdout.write(`! ${formatProblem(warning, locale)}\n`)
  const shown = definitions?.shown
  if (config === undefined || shown === undefined || all.length > 0) throw problemsFound(all)
  const words = bilingual(locale)
  process.stdout.write(
    fitTable(
      columnsIn(words, ['检查', 'checked'], ['数量', 'count', { align: 'right' }], ['内容', 'what']),
      rowsOf(shown, [...config.sources, ...unlisted], config, file, words),
      Math.min(process.stdout.columns ?? 100, 100),
    ),
  )
  process.stdout.write(`✓ ${words('没有问题', 'nothing is wrong')}\n`)
}

export function problemsFound(problems: readonly Problem[]): InvalidInputError {
  return new InvalidInputError(
    said(`✗ ${problems.length} 个问题`, `✗ ${problems.length} problem${problems.length === 1 ? '' : 's'}`),
    problems,
  )
}

function rowsOf(
  shown: readonly ShownKind[],
  sources: readonly string[],
  config: Config,
  file: string,
  words: Words,
): string[][] {
  const stores = [config.documents.kind, config.events.kind, config.jobs.kind].join(', ')
  const row = (name: string, count: number, what: string) => [name, String(count), what]
  return [
    row(words('配置', 'config'), 1, words(`${file}（${stores}）`, `${file} (${stores})`)),
    ...shown.map(({ name, count, what }) => row(words(name.zh, name.en), count, inLanguage(what, config.brand.locale))),
    row(words('数据源', 'sources'), sources.length, sources.map((source) => basename(source)).join(', ')),
  ]
}
