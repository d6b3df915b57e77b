import { type Content, ContentFile } from '../../../domain/content/content.js'
import { messageOf } from '../../../errors.js'
import { renderContent } from '../../../domain/content/render.js'
import { asWritten, type DefinitionKind, listed, namesIn } from './kind.js'

/** Words and links: a folder of files with several each. */
export const contents = {
  words: { zh: '内容', en: 'contents' },
  schema: ContentFile,
  schemaName: 'content',
  folder: { setting: 'content', holds: 'files' },
  provides: { kind: 'content', names: (file) => namesIn('contents', file.contents) },
  references: (file) =>
    file.contents.flatMap(({ coupon }, i) =>
      coupon === undefined ? [] : [{ kind: 'coupon pool', name: coupon, path: ['contents', i, 'coupon'] }],
    ),
  lint: (file) =>
    file.contents.flatMap((content, i) => {
      const message = unfillable(content)
      const hint = 'use {{ brand }}, and {{ coupon }} where the content names a pool'
      return message === undefined ? [] : [{ path: ['contents', i, 'text'], message, hint }]
    }),
  versioned: 'kind',
  kept: asWritten,
  shows: (files) => listed(files.flatMap((f) => f.contents)),
} as const satisfies DefinitionKind<typeof ContentFile>

function unfillable(content: Content): string | undefined {
  try {
    renderContent(content, { brand: 'brand', ...(content.coupon === undefined ? {} : { coupon: 'CODE' }) })
    return undefined
  } catch (err) {
    return `the text cannot be filled in: ${messageOf(err)}`
  }
}
