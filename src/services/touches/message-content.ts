import type { Content } from '../../domain/content/content.js'
import type { DispatchContent } from '../../ports/channel.js'
import type { Deps } from '../runtime/deps.js'
import { renderContent } from '../../domain/content/render.js'

/** What a mass message says: the words, and a card under them whose link is the dispatch's own. */
export function messageContent(
  { brand, linkBase }: Pick<Deps, 'brand' | 'linkBase'>,
  content: Content,
  dispatchId: string,
): DispatchContent {
  const { link } = content
  return {
    text: renderContent(content, { brand: brand.name }),
    link: {
      title: link?.title ?? brand.name,
      url: `${linkBase}${link?.path ?? '/'}${link?.path.includes('?') === true ? '&' : '?'}m=${dispatchId}`,
      ...(link?.description === undefined ? {} : { description: link.description }),
    },
  }
}
