import { type Problem, said } from '../../src/connector.js'
import { checkCsvFile } from './index.js'
import { loadCsvMapping } from './mapping.js'

/**
 * What keeps a mapping from its file; amounts must be in the brand's currency, since nothing converts them.
 *
 * @throws {InvalidInputError} when the mapping itself cannot be read
 */
export async function checkCsvSource(file: string, currency: string): Promise<Problem[]> {
  const loaded = await loadCsvMapping(file)
  const problems = await checkCsvFile(loaded)
  const { mapping } = loaded
  if (mapping.rows !== 'orders' || mapping.currency === currency) return problems
  const line = loaded.lineOf('currency')
  return [
    ...problems,
    {
      file,
      ...(line === undefined ? {} : { line }),
      path: 'currency',
      message: said(
        `${mapping.currency} 与品牌币种 ${currency} 不同`,
        `${mapping.currency} differs from brand.currency ${currency}`,
      ),
      hint: said(
        '改 brand.currency 或换算后的文件；金额不会自动换算',
        'set brand.currency, or give a converted file: nothing is converted',
      ),
    },
  ]
}
