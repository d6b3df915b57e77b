import { type LocalText, textOf } from '../src/domain/local-text.js'
import { type LoadedDefinitions, parseWhole } from '../src/services/definitions/load-definitions.js'
import { nameOf } from '../src/print/words.js'

export type Locale = 'zh' | 'en'
/** Of what the report tells by its id. */
export type NamedKind = 'tag' | 'stage' | 'journey' | 'guide'

/** What it is called in the report's language; the id where it has no name. */
export type DemoNames = (kind: NamedKind, id: string) => string

/** The names that the definitions give, and those of the demo's guides. */
export function namesOf({ tags, journeyFiles, files }: LoadedDefinitions, locale: Locale): DemoNames {
  const stages = parseWhole('lifecycle', files.lifecycle).flatMap((file) => file.stages)
  const listed = {
    tag: tags.map(({ id, name }) => [id, name] as const),
    stage: stages.map(({ id, name }) => [id, name] as const),
    journey: journeyFiles.map(({ journey: { id, name } }) => [id, name] as const),
  }
  const names = new Map<string, LocalText>(
    Object.entries(listed).flatMap(([kind, all]) => all.map(([id, name]) => [`${kind}/${id}`, name] as const)),
  )
  return (kind, id) => {
    if (kind === 'guide') return locale === 'zh' ? guideName(id) : id
    const name = names.get(`${kind}/${id}`)
    return name === undefined ? nameOf(id)[locale] : textOf(name, locale)
  }
}

/** Whose id a scenario made: 导购 017 for guide-017. */
export function guideName(userId: string): string {
  return `导购 ${userId.slice(-3)}`
}
