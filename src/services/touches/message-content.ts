import type { Content } from '../../domain/content/content.js'
import { linkOf, renderContent } from '../../domain/content/render.js'
import type { DispatchContent } from '../../ports/channel.js'
import type { Deps } from '../runtime/deps.js'

/** What a mass message says: the words and, of a content with a link, a card under them whose address is the dispatch's own. */
export function messageContent(
  { brand, linkBase }: Pick<Deps, 'brand' | 'linkBase'>,
  content: Content,
  dispatchId: string,
): DispatchContent {
  const link = linkOf(content, linkBase)
  return {
    text: renderContent(content, { brand: brand.name }),
    ...(link !== undefined && {
      link: { ...link, url: `${link.url}${link.url.includes('?') ? '&' : '?'}m=${dispatchId}` },
    }),
  }
}
