import { z } from 'zod'
import { LocalText } from '../../local-text.js'
import type { Path, Reference } from '../../reference.js'
import type { Build } from '../../rules/build.js'
import type { Bool, Text } from '../../rules/expression.js'
import type { PlacedRule, Rule } from '../../rules/rule.js'
import type { TimeEdge } from '../../rules/windows.js'
import { isCron } from '../../schedule.js'

/** It names a column of figures and a key of stored documents, where a dot or a dollar sign would mean something else. */
export const TagId = z.string().regex(/^[a-z][a-z0-9_]{1,63}$/, 'a tag id is snake_case, 2 to 64 characters')

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
      z.string().refine(isCron, 'neither "realtime" nor a cron expression such as "0 2 * * *"'),
    ])
    .default('realtime')
    .describe('realtime: with every change and every night; or a cron expression in the business time zone'),
  owner: z.string().min(1).describe('team that answers for it'),
  purpose: z.string().min(1).describe('what it is used for'),
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
  say(value: string): string
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
  /** What its schema cannot say. Paths are within the tag. */
  lint(tag: T): readonly { path: Path; message: string; hint: string }[]
  /** The rules that explain it, in the order in which they decide. */
  asked(tag: T): readonly Asked[]
  /** The corp tag that stands for a value, where it is to be written back. */
  writeback(tag: T): readonly { value: string; target: WecomTagName }[]
}
