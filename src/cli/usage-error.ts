import { inLanguage } from '../said.js'

/**
 * What commander refuses, in the words of whoever sits at the terminal. Commander has no texts but English ones, so a Chinese sentence is
 * made of what one of them names; one that is not known here stays as it is.
 *
 * @param message - as commander gives it to `Command.error`: `error: …`, and perhaps `(Did you mean …?)` on a line of its own
 */
export function usageError(message: string, locale: 'zh' | 'en'): string {
  const [first = '', ...more] = message.split('\n')
  const [what, reason] = parted(first)
  const lines = [...[what, ...more].map((line) => (locale === 'zh' ? inChinese(line) : line))]
  if (reason !== '')
    lines[0] += locale === 'zh' ? `：${inChinese(inLanguage(reason, 'zh'))}` : ` ${inLanguage(reason, 'en')}`
  return lines.join('\n')
}

/** The sentence of commander's, and the one that our parser of the value has given as the reason: the latter holds both languages. */
function parted(line: string): [what: string, reason: string] {
  const match = /^(error: .* is invalid(?: for argument '[^']*')?\.) ?(.*)$/.exec(line)
  return match === null ? [line, ''] : [match[1]!, match[2]!]
}

function inChinese(line: string): string {
  for (const [pattern, zh] of SENTENCES) if (pattern.test(line)) return line.replace(pattern, zh)
  return line
}

const SENTENCES: readonly (readonly [RegExp, string])[] = [
  [/^error: unknown option '(.*)'$/, '没有选项 "$1"'],
  [/^error: unknown command '(.*)'$/, '没有命令 "$1"'],
  [/^error: missing required argument '(.*)'$/, '缺少参数 <$1>'],
  [/^error: option '(.*)' argument missing$/, '选项 $1 后面缺少值'],
  [/^error: required option '(.*)' not specified$/, '缺少选项 $1'],
  [
    /^error: too many arguments(?: for '(?:.*)')?\. Expected (\d+) arguments? but got (\d+)\.$/,
    '参数太多：要 $1 个，给了 $2 个',
  ],
  [/^error: option '(.*)' argument '(.*)' is invalid\.$/, '选项 $1 的值 "$2" 不能用'],
  [/^error: command-argument value '(.*)' is invalid for argument '(.*)'\.$/, '参数 <$2> 的值 "$1" 不能用'],
  [/^error: option '(.*)' cannot be used with option '(.*)'$/, '选项 $1 和 $2 不能一起用'],
  [/^Allowed choices are (.*)\.$/, '可以写 $1'],
  [/^\(Did you mean one of (.*)\?\)$/, '（是不是其中之一：$1？）'],
  [/^\(Did you mean (.*)\?\)$/, '（是不是 $1？）'],
]
