import { said } from '../../said.js'
import type { Problem } from '../../errors.js'
import { type Tag, tagKindOf } from './definition.js'
import type { WecomTagName } from './kinds/kind.js'

/** Characters of a group's or a tag's name. @see developer.work.weixin.qq.com/document/path/92117 (read 2026-08) */
export const WECOM_NAME_MAX = 30

/** The corp tag that stands for each value this tag can have in WeCom. */
export function writebackTargets(tag: Tag): readonly { value: string; target: WecomTagName }[] {
  return tagKindOf(tag).writeback(tag)
}

/** Names that are too long, and corp tags that two values would fight over. `path` is within the tag. */
export function writebackProblems(tags: readonly Tag[]): { tagId: string; problem: Problem & { hint: string } }[] {
  const owners = new Map<string, string>()
  return tags.flatMap((tag) =>
    writebackTargets(tag).flatMap(({ value, target }) => {
      const key = targetKey(target)
      const owner = owners.get(key)
      const holder = `${tag.id}=${value}`
      if (owner === undefined) owners.set(key, holder)
      const problems = [
        ...(owner === undefined ? [] : [said(`${key} 已由 ${owner} 写入`, `${key} is already written by ${owner}`)]),
        ...([...target.name].length > WECOM_NAME_MAX
          ? [
              said(
                `"${target.name}" 有 ${[...target.name].length} 个字符，企业微信最多 ${WECOM_NAME_MAX} 个`,
                `"${target.name}" has ${[...target.name].length} characters, WeCom takes ${WECOM_NAME_MAX}`,
              ),
            ]
          : []),
      ]
      return problems.map((message) => ({
        tagId: tag.id,
        problem: {
          path: 'writeback',
          message,
          hint: said('给它自己的名字，最多 30 个字符', 'give it a name of its own, at most 30 characters'),
        },
      }))
    }),
  )
}

export function targetKey({ group, name }: WecomTagName): string {
  return `${group}/${name}`
}

export type WritebackChange = {
  /** To put on the customer. */
  add: WecomTagName[]
  /** To take off. */
  remove: WecomTagName[]
}

/**
 * What must change in WeCom so that it shows the values. Only tags that changed here are looked at, so that what a guide
 * tagged or untagged by hand stays until our own value changes; what WeCom shows already is left out.
 *
 * @param changed - ids of the tags whose value changed since the last push
 * @param values - the person's value by tag id; absent when she has none
 * @param extra - corp tags to add whatever the values, e.g. those of a live code
 * @param present - `targetKey` of the corp tags on this relation; `undefined` when nobody knows
 */
export function planWriteback(
  tags: readonly Tag[],
  changed: ReadonlySet<string>,
  values: ReadonlyMap<string, string>,
  extra: readonly WecomTagName[],
  present: ReadonlySet<string> | undefined,
): WritebackChange {
  const wanted = new Map(extra.map((target) => [targetKey(target), target]))
  const unwanted = new Map<string, WecomTagName>()
  for (const tag of tags) {
    if (!changed.has(tag.id)) continue
    for (const { value, target } of writebackTargets(tag))
      (values.get(tag.id) === value ? wanted : unwanted).set(targetKey(target), target)
  }
  const missing = ([key]: [string, WecomTagName]) => present?.has(key) !== true
  return {
    add: [...wanted].filter(missing).map(([, target]) => target),
    remove: [...unwanted]
      .filter(([key]) => !wanted.has(key) && present?.has(key) !== false)
      .map(([, target]) => target),
  }
}
