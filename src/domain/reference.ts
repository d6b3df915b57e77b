/** Where something stands in a file. */
export type Path = readonly (string | number)[]

/** What files define, and a definition may name. */
export type DefinedKind = 'event' | 'tag' | 'stage' | 'segment' | 'content' | 'coupon pool' | 'journey' | 'way'

const WORDS: Readonly<Record<string, string>> = {
  event: '事件',
  tag: '标签',
  stage: '阶段',
  segment: '人群',
  content: '内容',
  'coupon pool': '券池',
  journey: '旅程',
  way: '活码',
  'channel code': '渠道码',
  'link name': '链接名',
}

/** A noun for people; one that is not known here is its own. */
export function nounOf(kind: string): { zh: string; en: string } {
  return { zh: Object.hasOwn(WORDS, kind) ? WORDS[kind]! : kind, en: kind }
}

/** A mistake in a definition, with the way to mend it. */
export type Mistake = {
  path: Path
  message: string
  hint: string
  /** It may be as it is meant: said, and in nobody's way. */
  unsure?: true
}

/** Something that a definition names and that is known elsewhere; traits and identifiers come with the data. */
export type Reference<K = DefinedKind | 'trait' | 'identifier'> = { kind: K; name: string; path: Path }

export function isDefinedInFiles(reference: Reference): reference is Reference<DefinedKind> {
  return reference.kind !== 'trait' && reference.kind !== 'identifier'
}
