import { type Content, ContentFile, TEXT_MAX_BYTES } from '../../../domain/content/content.js'
import type { Mistake } from '../../../domain/reference.js'
import { messageOf } from '../../../errors.js'
import { said } from '../../../said.js'
import { renderContent } from '../../../domain/content/render.js'
import { asWritten, type DefinitionKind, listed, type Whole } from './kind.js'

/** Words and links: a folder of files with several each. */
export const contents = {
  words: { zh: '内容', en: 'contents' },
  schema: ContentFile,
  schemaName: 'content',
  folder: { setting: 'content', holds: 'files' },
  provides: { kind: 'content', at: ['contents', '*', 'id'] },
  references: ({ contents = [] }) =>
    contents.flatMap(({ coupon }, i) =>
      coupon === undefined ? [] : [{ kind: 'coupon pool', name: coupon, path: ['contents', i, 'coupon'] }],
    ),
  lint: (file, whole) =>
    file.contents.flatMap((content, i) => [
      ...textMistakes(content, whole).map((mistake) => ({ ...mistake, path: ['contents', i, 'text'] })),
      ...(content.link === undefined || whole.hasSite ? [] : [{ ...LEADS_NOWHERE, path: ['contents', i, 'link'] }]),
    ]),
  versioned: 'kind',
  kept: asWritten,
  shows: (files) => listed(files.flatMap((f) => f.contents)),
} as const satisfies DefinitionKind<typeof ContentFile>

const LEADS_NOWHERE: Omit<Mistake, 'path'> = {
  message: said('链接没有前缀，打不开', 'the link has nowhere to lead'),
  hint: said('在 service.yaml 写 linkBase，或删掉 link', 'set linkBase in service.yaml, or remove the link'),
}

function textMistakes(content: Content, { brand }: Whole): Omit<Mistake, 'path'>[] {
  let text: string
  try {
    text = renderContent(content, { brand, ...(content.coupon === undefined ? {} : { coupon: 'CODE' }) })
  } catch (err) {
    return [
      {
        message: said(`文字填不出来：${messageOf(err)}`, `the text cannot be filled in: ${messageOf(err)}`),
        hint: said(
          '可用的有 {{ brand }}；内容写了券池时还有 {{ coupon }}',
          'use {{ brand }}, and {{ coupon }} where the content names a pool',
        ),
      },
    ]
  }
  const bytes = Buffer.byteLength(text)
  if (bytes <= TEXT_MAX_BYTES) return []
  const [has, may] = [bytes, TEXT_MAX_BYTES].map((n) => n.toLocaleString('en'))
  return [
    {
      message: said(
        `文字有 ${has} 字节，最多 ${may}（一个汉字 3 字节）`,
        `the text has ${has} of ${may} bytes (a Chinese character takes 3)`,
      ),
      hint: said('缩短它，或分成两条内容', 'shorten it, or make two contents of it'),
    },
  ]
}
