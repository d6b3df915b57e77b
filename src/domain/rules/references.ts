import { type Tag, tagRefersTo } from '../tags/definition.js'
import { type DefinedKind, isDefinedInFiles, type Path, type Reference } from '../reference.js'
import { type Rule, ruleRefersTo } from './rule.js'

/** What a rule names that files define. */
export function ruleReferences(rule: Rule, path: Path): Reference<DefinedKind>[] {
  return ruleRefersTo(rule, path).filter(isDefinedInFiles)
}

export function tagReferences(tag: Tag, path: Path): Reference<DefinedKind>[] {
  return tagRefersTo(tag, path).filter(isDefinedInFiles)
}
