import { IdentityConfig } from '../../../domain/identity/config.js'
import { typeName } from '../../../domain/identity/profile.js'
import { normalise } from '../../../domain/identity/resolve.js'
import { traitMistakes } from '../../../domain/rules/known.js'
import type { Mistake } from '../../../domain/reference.js'
import { meant, said } from '../../../said.js'
import { asWritten, type DefinitionKind } from './kind.js'

/** Who is who: one file. */
export const identity = {
  words: { zh: '身份', en: 'identity' },
  schema: IdentityConfig,
  schemaName: 'identity',
  folder: { setting: 'identity', holds: 'file' },
  provides: undefined,
  references: () => [],
  lint: (file, { known }) => [
    ...file.agree.flatMap((trait, i) => traitMistakes(trait, ['agree', i], known)),
    ...valueMistakes(file),
  ],
  versioned: 'kind',
  kept: asWritten,
  shows: (files) => {
    const types = files.flatMap((f) => f.identifiers.map((i) => i.type))
    return { count: types.length, what: types.join(', ') }
  },
} as const satisfies DefinitionKind<typeof IdentityConfig>

/** Values under `ignore` and `allow` that would be compared with nothing, and those that are in both. */
function valueMistakes({ identifiers, ignore, allow }: IdentityConfig): Mistake[] {
  const types = identifiers.map((i) => i.type)
  return Object.entries({ ignore, allow }).flatMap(([list, values]) =>
    values.flatMap(({ type, value }, i): Mistake[] => {
      const rule = identifiers.find((of) => of.type === typeName(type))
      if (rule === undefined) {
        const message = said(`identifiers 里没有类型 "${type}"`, `there is no type "${type}" under identifiers`)
        const known = types.join(', ')
        return [{ path: [list, i, 'type'], message, hint: meant(type, types, `有：${known}`, `there are: ${known}`) }]
      }
      const path = [list, i, 'value']
      const written = normalise(value, rule.normalise)
      if (written !== value) {
        const message = said(
          `"${value}" 不会出现：比较的是统一写法之后的值`,
          `"${value}" never occurs: what is compared is normalised`,
        )
        const hint =
          written === ''
            ? said('改正或删掉', 'correct it, or remove it')
            : said(`写成 "${written}"`, `write it as "${written}"`)
        return [{ path, message, hint }]
      }
      const isTwice = list === 'allow' && ignore.some((of) => of.type === type && of.value === value)
      return isTwice
        ? [
            {
              path,
              message: said(`"${value}" 也在 ignore 里`, `"${value}" is under ignore as well`),
              hint: said('只留一处', 'leave it in one of them'),
            },
          ]
        : []
    }),
  )
}
