import type { DefinedKind, Reference } from '../../../domain/reference.js'
import { valueMistakes } from '../../../domain/rules/known.js'
import { WelcomeFile } from '../../../domain/wecom/welcome.js'
import { said } from '../../../said.js'
import { asWritten, type DefinitionKind } from './kind.js'

/** What new customers are greeted with: one file; without it nobody is greeted. */
export const welcome = {
  words: { zh: '欢迎语', en: 'welcome' },
  schema: WelcomeFile,
  schemaName: 'welcome',
  folder: { setting: 'welcome', holds: 'optional file' },
  provides: undefined,
  references: ({ rules = [] }) =>
    rules.flatMap(({ content, when }, i): Reference<DefinedKind>[] => [
      ...(when.tags ?? []).map(({ tag }, n) => ({
        kind: 'tag' as const,
        name: tag,
        path: ['rules', i, 'when', 'tags', n, 'tag'],
      })),
      ...(content === undefined ? [] : [{ kind: 'content' as const, name: content, path: ['rules', i, 'content'] }]),
    ]),
  lint: ({ rules }, { contents, known }) =>
    rules.flatMap(({ content, when }, i) => [
      ...(when.tags ?? []).flatMap((test, n) =>
        valueMistakes(test.tag, test, known).map((m) => ({ ...m, path: ['rules', i, 'when', 'tags', n, ...m.path] })),
      ),
      ...(content === undefined || contents.get(content)?.coupon === undefined
        ? []
        : [
            {
              path: ['rules', i, 'content'],
              message: said(
                `内容 "${content}" 带着某位客户的券码`,
                `content "${content}" carries a code of one customer`,
              ),
              hint: said('换一个没有 coupon 的内容', 'name a content without coupon'),
            },
          ]),
    ]),
  versioned: 'kind',
  kept: asWritten,
  shows: () => undefined,
} as const satisfies DefinitionKind<typeof WelcomeFile>
