import { Journey, placeSteps } from '../../../domain/journeys/definition.js'
import { journeyNames, journeyReferences, journeyRules } from '../../../domain/journeys/references.js'
import type { LocalText } from '../../../domain/local-text.js'
import type { Mistake } from '../../../domain/reference.js'
import { said } from '../../../said.js'
import { channelKinds, type StepChannel, stepChannels } from '../../../domain/touches/channels.js'
import { asWritten, type DefinitionKind, listed, type Whole } from './kind.js'

/** Journeys: a folder with one in each file. */
export const journeys = {
  words: { zh: '旅程', en: 'journeys' },
  schema: Journey,
  schemaName: 'journey',
  folder: { setting: 'journeys', holds: 'files' },
  provides: { kind: 'journey', at: ['id'] },
  references: journeyNames,
  rules: journeyRules,
  lint: (journey, whole, name) => [
    ...idProblems(journey, name),
    ...stepProblems(journey),
    ...sendProblems(journey, whole),
    ...titleProblems(journey),
  ],
  versioned: 'file',
  kept: asWritten,
  shows: listed,
} as const satisfies DefinitionKind<typeof Journey>

function idProblems({ id }: Journey, name: string): Mistake[] {
  if (id === name) return []
  const message = said(`旅程 id "${id}" 和文件名不同`, `journey id "${id}" differs from its file name`)
  const hint = said(`写成 id: ${name}，或改文件名`, `write id: ${name}, or rename the file`)
  return [{ path: ['id'], message, hint }]
}

function stepProblems({ steps }: Journey): Mistake[] {
  const ids = placeSteps(steps).map((p) => p.stepId)
  const twice = ids.find((id, i) => ids.indexOf(id) !== i)
  if (twice === undefined) return []
  const message = said(`两个步骤的 id 都是 "${twice}"`, `two steps have the id "${twice}"`)
  return [{ path: ['steps'], message, hint: said('每个步骤用自己的 id', 'give each step an id of its own') }]
}

/** A channel that hands over a code sends contents that have one, the others those that have none. */
function sendProblems(journey: Journey, { contents }: Whole): Mistake[] {
  return journeyReferences(journey)
    .filter((r) => r.path.at(-2) === 'send')
    .flatMap(({ path, name }) => {
      const content = contents.get(name)
      const { channel } = holderOf(journey, path) as { channel: StepChannel }
      const { handsOverCode: handsOver } = channelKinds[channel]
      if (content === undefined || handsOver === (content.coupon !== undefined)) return []
      const other = stepChannels.filter((c) => channelKinds[c].handsOverCode !== handsOver)
      return [
        {
          path,
          message: handsOver
            ? said(`内容 "${name}" 没有可以交出的券`, `content "${name}" has no coupon to hand over`)
            : said(`内容 "${name}" 带着某位客户的券码`, `content "${name}" carries a code of one customer`),
          hint: said(
            `${handsOver ? '在内容里写券池，或' : ''}写成 channel: ${other.join(' 或 ')}`,
            `${handsOver ? 'name a pool in the content, or write' : 'write'} channel: ${other.join(' or ')}`,
          ),
        },
      ]
    })
}

/** A guide reads a title as it is written; placeholders are filled in words for the customer alone. */
function titleProblems(journey: Journey): Mistake[] {
  return journeyReferences(journey)
    .filter((r) => r.path.at(-1) === 'script')
    .flatMap(({ path }) => {
      const { title } = holderOf(journey, path) as { title: LocalText }
      if (!/\{\{|\{%/.test(JSON.stringify(title))) return []
      const message = said(
        '占位符在标题里不起作用，导购会看到它本身',
        'placeholders are not filled in a title: the guide would read them',
      )
      const hint = said('写成普通文字；占位符写在话术内容里', 'write plain words; placeholders go into the script')
      return [{ path: [...path.slice(0, -1), 'title'], message, hint }]
    })
}

/** What holds the value at this path. */
function holderOf(journey: Journey, path: Mistake['path']): unknown {
  return path.slice(0, -1).reduce<unknown>((at, key) => (at as Record<string | number, unknown>)[key], journey)
}
