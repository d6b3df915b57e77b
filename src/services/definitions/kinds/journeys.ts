import { Journey, placeSteps } from '../../../domain/journeys/definition.js'
import { journeyReferences } from '../../../domain/journeys/references.js'
import { channelKinds, type StepChannel, stepChannels } from '../../../domain/touches/channels.js'
import { asWritten, type DefinitionKind, type LintProblem, listed, type Whole } from './kind.js'

/** Journeys: a folder with one in each file. */
export const journeys = {
  words: { zh: '旅程', en: 'journeys' },
  schema: Journey,
  schemaName: 'journey',
  folder: { setting: 'journeys', holds: 'files' },
  provides: { kind: 'journey', names: ({ id }) => [{ name: id, path: ['id'] }] },
  references: journeyReferences,
  lint: (journey, whole, name) => [
    ...idProblems(journey, name),
    ...stepProblems(journey),
    ...sendProblems(journey, whole),
  ],
  versioned: 'file',
  kept: asWritten,
  shows: listed,
} as const satisfies DefinitionKind<typeof Journey>

function idProblems({ id }: Journey, name: string): LintProblem[] {
  if (id === name) return []
  const message = `journey id "${id}" differs from its file name`
  return [{ path: ['id'], message, hint: `write id: ${name}, or rename the file` }]
}

function stepProblems({ steps }: Journey): LintProblem[] {
  const ids = placeSteps(steps).map((p) => p.stepId)
  const twice = ids.find((id, i) => ids.indexOf(id) !== i)
  if (twice === undefined) return []
  return [{ path: ['steps'], message: `two steps have the id "${twice}"`, hint: 'give each step an id of its own' }]
}

/** A channel that hands over a code sends contents that have one, the others those that have none. */
function sendProblems(journey: Journey, { contents }: Whole): LintProblem[] {
  return journeyReferences(journey)
    .filter((r) => r.path.at(-2) === 'send')
    .flatMap(({ path, name }) => {
      const content = contents.get(name)
      const step = path.slice(0, -1).reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], journey)
      const { handsOverCode: handsOver } = channelKinds[(step as { channel: StepChannel }).channel]
      if (content === undefined || handsOver === (content.coupon !== undefined)) return []
      const other = stepChannels.filter((c) => channelKinds[c].handsOverCode !== handsOver)
      return [
        {
          path,
          message: handsOver
            ? `content "${name}" has no coupon to hand over`
            : `content "${name}" carries a code of one customer`,
          hint: `${handsOver ? 'name a pool in the content, or write' : 'write'} channel: ${other.join(' or ')}`,
        },
      ]
    })
}
