import { z } from 'zod'
import { said, type Words } from '../../../said.js'
import { LocalText } from '../../local-text.js'
import type { Mistake, Reference } from '../../reference.js'
import type { Build } from '../../rules/build.js'
import type { Bool, Text } from '../../rules/expression.js'
import type { Known, TagValues } from '../../rules/known.js'
import type { PlacedRule, Rule } from '../../rules/rule.js'
import type { TimeEdge } from '../../rules/windows.js'
import { isCron } from '../../schedule.js'

/** It names a column of figures and a key of stored documents, where a dot or a dollar sign would mean something else. */
export const TAG_ID = /^[a-z][a-z0-9_]{1,63}$/
export const TagId = z
  .string()
  .regex(TAG_ID, said('标签 id 用小写字母、数字和下划线，2 到 64 个字符', 'a tag id is snake_case, 2 to 64 characters'))

/** What every tag has, whatever its kind. */
export const common = {
  id: TagId,
  name: LocalText,
  category: z.enum([
    'attribute',
    'behaviour',
    'transaction',
    'preference',
    'intent',
    'value',
    'lifecycle',
    'social',
    'content',
    'psychology',
    'model',
  ]),
  refresh: z
    .union([
      z.literal('realtime'),
      z
        .string()
        .refine(
          isCron,
          said(
            '不是 "realtime"，也不是 cron 表达式，如 "0 2 * * *"',
            'neither "realtime" nor a cron expression such as "0 2 * * *"',
          ),
        ),
    ])
    .default('realtime')
    .describe(
      said(
        'realtime：随时更新，每晚再算一次；或业务时区的 cron 表达式',
        'realtime: with every change and every night; or a cron expression in the business time zone',
      ),
    ),
  owner: z.string().min(1).describe(said('负责的团队', 'team that answers for it')),
  purpose: z.string().min(1).describe(said('用来做什么', 'what it is used for')),
}

/** A corp tag in WeCom, by its names. */
export type WecomTagName = { group: string; name: string }

/** A rule to explain a tag by: the words for it where the file has others, and the value it gives where it holds. */
export type Asked = { rule: Rule; words?: string; value?: string }

export type TagBuild = Build & {
  test(rule: Rule): Bool
}

/** Everything there is to know about one kind of tag, `type` in the file. */
export interface TagKind<S extends z.ZodObject, T = z.infer<S>> {
  schema: S
  /** What the kind is called. */
  words: { zh: string; en: string }
  /** A value that is there, for people. */
  say(value: string, words: Words): string
  /** The rules in it, each with its path. */
  rules(tag: T): readonly PlacedRule[]
  /** What it names that is defined elsewhere; its rules name for themselves. */
  refersTo(tag: T): readonly Reference[]
  /** When the passing of time alone may change it; its rules have edges of their own. */
  edges(tag: T): readonly TimeEdge[]
  /**
   * The event since which it counts the days. The value that is kept is then the instant, which nights do not change, and
   * whoever reads it counts: see `shownValue`.
   */
  countedFrom(tag: T): string | undefined
  /** The value that is kept; '' where it is absent. */
  value(tag: T, build: TagBuild): Text
  /** The values that it may have. */
  values(tag: T): TagValues
  /** What its schema cannot say; its rules say theirs. Paths are within the tag. */
  lint(tag: T, known: Known): readonly Mistake[]
  /** The rules that explain it, in the order in which they decide. */
  asked(tag: T): readonly Asked[]
  /** The corp tag that stands for a value, where it is to be written back. */
  writeback(tag: T): readonly { value: string; target: WecomTagName }[]
}
