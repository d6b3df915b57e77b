import { checkCsvFile } from '../../connectors/csv/index.js'
import { loadCsvMapping } from '../../connectors/csv/mapping.js'
import { ChatRules } from '../../connectors/wechaty/rules.js'
import { type Config, type Env, loadConfig } from '../config.js'
import { InvalidInputError, type Problem } from '../errors.js'
import type { Ways } from '../domain/ways/definition.js'
import { checkDefinitions, type LoadedDefinitions } from '../services/definitions/load-definitions.js'
import { checkWays } from '../services/definitions/load-ways.js'
import { loadYaml } from '../yaml-file.js'
import { truncate } from './display-width.js'
import { renderTable } from './table.js'

/** `siyu check`: everything that is wrong with the files, at once; opens no store. @throws {InvalidInputError} */
export async function checkCommand({ config: file }: { config: string }, env: Env): Promise<void> {
  const config = await loadConfig({ file, env })
  const { loaded, problems } = await checkDefinitions(config.paths)
  const { ways, problems: wayProblems } = await checkWays(config.paths.wecom)
  const all = [
    ...problems,
    ...wayProblems,
    ...(await checkChatRules(config)),
    ...(await checkSources(config.sources, config)),
  ]
  if (loaded === undefined || all.length > 0) throw problemsFound(all)
  process.stdout.write(
    renderTable(
      [{ title: '检查 checked' }, { title: '数量 count', align: 'right' }, { title: '内容 what' }],
      rowsOf(loaded, ways, config, file),
    ),
  )
  process.stdout.write('✓ 没有问题 · nothing is wrong\n')
}

export function problemsFound(problems: readonly Problem[]): InvalidInputError {
  return new InvalidInputError(
    `✗ ${problems.length} 个问题 · ${problems.length} problem${problems.length === 1 ? '' : 's'}`,
    problems,
  )
}

/** They count once a bot is configured. */
async function checkChatRules({ wechaty }: Config): Promise<readonly Problem[]> {
  if (wechaty === undefined) return []
  try {
    await loadYaml(ChatRules, wechaty.rules)
    return []
  } catch (err) {
    if (!(err instanceof InvalidInputError)) throw err
    return err.problems
  }
}

/** What keeps mappings from their files; amounts must be in the brand's currency, since nothing converts them. */
export async function checkSources(mappings: readonly string[], config: Config): Promise<Problem[]> {
  const problems: Problem[] = []
  for (const file of mappings) {
    try {
      const loaded = await loadCsvMapping(file)
      problems.push(...(await checkCsvFile(loaded)))
      const { mapping } = loaded
      if (mapping.rows === 'orders' && mapping.currency !== config.brand.currency) {
        const line = loaded.lineOf('currency')
        problems.push({
          file,
          ...(line === undefined ? {} : { line }),
          path: 'currency',
          message: `${mapping.currency} 与品牌币种 ${config.brand.currency} 不同 · differs from brand.currency ${config.brand.currency}`,
          hint: '改 brand.currency 或换算后的文件；金额不会自动换算 set brand.currency, or give a converted file: nothing is converted',
        })
      }
    } catch (err) {
      if (!(err instanceof InvalidInputError)) throw err
      problems.push(...err.problems)
    }
  }
  return problems
}

function rowsOf(loaded: LoadedDefinitions, { ways, joinWays, links }: Ways, config: Config, file: string): string[][] {
  const { tags, segments, contents, couponPools, journeyFiles, identity } = loaded
  const realtime = tags.filter((t) => t.refresh === 'realtime').length
  const stores = [config.documents.kind, config.events.kind, config.jobs.kind].join(', ')
  const row = (name: string, count: number, what: string) => [name, String(count), truncate(what, 72)]
  return [
    row('配置 config', 1, `${file}（${stores}）`),
    row('身份 identity', identity.identifiers.length, identity.identifiers.map((i) => i.type).join(', ')),
    row('标签 tags', tags.length, `实时 realtime ${realtime}，定时 scheduled ${tags.length - realtime}`),
    row('人群 segments', segments.size, [...segments.keys()].join(', ')),
    row('内容 contents', contents.size, [...contents.keys()].join(', ')),
    row('券池 coupons', couponPools.length, couponPools.map((p) => p.id).join(', ')),
    row('旅程 journeys', journeyFiles.length, journeyFiles.map((j) => j.journey.id).join(', ')),
    row(
      '活码 ways',
      ways.length + joinWays.length + links.length,
      [...ways, ...joinWays, ...links].map((w) => w.id).join(', '),
    ),
    row('数据源 sources', config.sources.length, config.sources.join(', ')),
  ]
}
