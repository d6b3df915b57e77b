import { checkCsvFile } from '../../connectors/csv/index.js'
import { loadCsvMapping } from '../../connectors/csv/mapping.js'
import { ChatRules } from '../../connectors/wechaty/rules.js'
import type { Config } from '../config.js'
import { InvalidInputError, type Problem } from '../errors.js'
import { loadYaml } from '../yaml-file.js'

/** What is wrong with the rules of a chat bot; they count once a bot is configured. */
export async function checkChatRules({ wechaty }: Config): Promise<readonly Problem[]> {
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
