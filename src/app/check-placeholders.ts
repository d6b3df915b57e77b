import type { Config } from '../config.js'
import type { Problem } from '../errors.js'
import { said } from '../said.js'

/** Names that nobody can own (RFC 2606), and the one of our comments. */
const NOBODYS = /(^|\.)(example\.(com|net|org)|example|invalid|test)$|^your\.host$/i

/**
 * Addresses that are still the ones of the examples. Customers would be sent them, so with WeCom configured they are what is
 * wrong; without, nobody can be sent anything.
 */
export function checkPlaceholders(config: Config, file: string): { problems: Problem[]; warnings: Problem[] } {
  const { linkBase, wecom } = config
  const addresses = {
    linkBase,
    'wecom.callback.url': wecom?.callback?.url,
    'wecom.sidebar.url': wecom?.sidebar?.url,
  }
  const found = Object.entries(addresses).flatMap(([path, url]) =>
    url === undefined || !NOBODYS.test(new URL(url).hostname)
      ? []
      : [
          {
            file,
            path,
            message: said(
              `"${url}" 是示例地址，不是品牌自己的`,
              `"${url}" is an address of the examples, not of the brand`,
            ),
            hint: said('填品牌自己的域名', 'fill in a domain of the brand'),
          },
        ],
  )
  return wecom === undefined ? { problems: [], warnings: found } : { problems: found, warnings: [] }
}
