import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type LineCounter,
  type Node,
  type Scalar,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml'
import type { Problem } from './errors.js'
import { said } from './said.js'

/** What is wrong on a line, and what to do. */
type Slip = {
  line: number
  message: string
  hint: string
  /** What comes after it in the file is read in another way than it was meant. */
  misleads?: true
}

/** What people get wrong on a line so that YAML finds the fault somewhere else, or nothing at all. */
const LINE_SLIPS: readonly { pattern: RegExp; message: string; hint: string }[] = [
  {
    pattern: /^\s*(?:- +)*["']?[A-Za-z_][\w-]*["']?\s*：/,
    message: said('冒号是全角的“：”', 'the colon is the full-width "："'),
    hint: said('改成半角冒号，后面空一格，如 holdout: 10%', 'write a plain colon and a space, e.g. holdout: 10%'),
  },
  {
    pattern: /^\s*(?:- +)*[A-Za-z_][\w-]*:[^\s:/]/,
    message: said('冒号后面没有空格', 'there is no space after the colon'),
    hint: said('冒号后空一格，如 wait: 2d', 'put a space after it, e.g. wait: 2d'),
  },
  {
    pattern: /\{[^}]*，\s*[A-Za-z_]\w*\s*[:：]/,
    message: said('逗号是全角的“，”', 'the comma is the full-width "，"'),
    hint: said('改成半角逗号，后面空一格', 'write a plain comma and a space'),
  },
  {
    pattern: /(?::|-|\[|,)\s+\{\{/,
    message: said('以 {{ 开头的文字没有加引号', 'a text that begins with {{ is not quoted'),
    hint: said("整句加引号，如 text: '{{ brand }} 您好'", "quote all of it, e.g. text: '{{ brand }} hello'"),
  },
]

/** What a person wrote where an object was expected: `wait:2d` and `wait：2d` are texts to YAML. */
export function slipIn(text: string): Pick<Problem, 'message' | 'hint'> | undefined {
  return LINE_SLIPS.find(({ pattern }) => pattern.test(text))
}

/** Syntax errors as people made them: where the mistake is, not where it shows; of one line the first. */
export function syntaxProblems(doc: Document, text: string, lines: LineCounter, file: string): Problem[] {
  const rows = text.split('\n')
  const slips = [...doc.errors, ...doc.warnings].slice(0, MOST_SLIPS).map((e) => slipBehind(e, doc, rows, lines))
  visit(doc, {
    Map: (_key, map) => void slips.push(...repeatedKeys(map, lines).slice(0, MOST_SLIPS)),
    Alias: (_key, alias) => {
      if (alias.resolve(doc) !== undefined) return
      slips.push({
        line: lines.linePos(startOf(alias) ?? 0).line,
        message: said(`没有名为 &${alias.source} 的锚点`, `nothing is named &${alias.source}`),
        hint: said('以 * 开头的文字要加引号', 'quote text that starts with *'),
      })
    },
  })
  const first = slips.find((slip) => slip.misleads)?.line ?? Infinity
  const told = slips.filter((slip) => slip.line <= first || slip.misleads)
  return onePerLine(told).map(({ line, message, hint }) => ({ file, line, path: '', message, hint }))
}

/** Of a file that are looked at; each costs a look at all of it. */
const MOST_SLIPS = 100

/** YAML's own look for them compares each key with each. */
function repeatedKeys({ items }: YAMLMap, lines: LineCounter): Slip[] {
  const seen = new Set<unknown>()
  return items.flatMap(({ key }) => {
    const name: unknown = isScalar(key) ? key.value : key
    if (!seen.has(name)) {
      seen.add(name)
      return []
    }
    return [
      {
        line: lines.linePos(startOf(key) ?? 0).line,
        message: said('同一个字段写了两次', 'the same field is written twice'),
        hint: said('留一个', 'keep one of the two'),
      },
    ]
  })
}

function slipBehind(error: YAMLError, doc: Document, rows: readonly string[], lines: LineCounter): Slip {
  const [from, to] = [lines.linePos(error.pos[0]).line, lines.linePos(error.pos[1]).line]
  const quote = openQuoteAt(doc, error, lines)
  if (quote !== undefined) return quote
  for (let line = from; line <= to; line++) {
    const slip = slipIn(rows[line - 1] ?? '')
    if (slip !== undefined) return { line, message: slip.message, hint: slip.hint! } // each of ours has one
  }
  const open = openBracketAt(doc, error, lines)
  if (open !== undefined) return open
  const [zh, hint] = WORDS[error.code] ?? [
    '不是合法的 YAML',
    said('检查这一行的缩进、引号和冒号', 'check indentation, quotes and colons of this line'),
  ]
  return {
    line: from,
    message: said(zh, error.message),
    hint,
    ...(error.code === 'TAB_AS_INDENT' && { misleads: true }),
  }
}

const WORDS: Partial<Record<string, [zh: string, hint: string]>> = {
  TAB_AS_INDENT: ['缩进用了制表符（Tab）', said('用空格缩进', 'indent with spaces, not tabs')],
  BAD_INDENT: ['缩进对不齐', said('与左右的行用空格对齐', 'align it with its neighbours, with spaces')],
  BAD_SCALAR_START: ['不加引号的文字不能以这个字符开头', said('给文字加引号', 'quote the text')],
  BLOCK_AS_IMPLICIT_KEY: [
    '一行里有两个冒号，或缩进对不齐',
    said('文字里有“: ”时加引号；列表项左边对齐', 'quote a text that holds ": ", and align the items of a list'),
  ],
  MULTIPLE_DOCS: ['一个文件里有多个文档', said('去掉 --- 那一行', 'one file holds one document: remove the --- line')],
  MULTILINE_IMPLICIT_KEY: [
    '字段名断成了两行',
    said('检查这一行的缩进和冒号', 'check the indentation and the colon of this line'),
  ],
  MISSING_CHAR: [
    '少了冒号、引号或括号',
    said('检查这一行的引号、括号和冒号', 'check quotes, brackets and the colon of this line'),
  ],
}

/** A quote that was opened on an earlier line and runs up to where the error shows. */
function openQuoteAt(doc: Document, error: YAMLError, lines: LineCounter): Slip | undefined {
  const missing = error.code === 'MISSING_CHAR' && /closing ["']quote/.test(error.message)
  let open: Scalar | undefined
  visit(doc, {
    Scalar: (_key, node) => {
      if (node.type !== 'QUOTE_DOUBLE' && node.type !== 'QUOTE_SINGLE') return
      const [start, end] = node.range ?? [0, 0]
      if (start > error.pos[0] || end + 1 < error.pos[0]) return
      if (missing || lines.linePos(start).line < lines.linePos(end).line) open = node
    },
  })
  if (open === undefined) return undefined
  const quote = open.type === 'QUOTE_DOUBLE' ? '"' : "'"
  return {
    line: lines.linePos(startOf(open) ?? 0).line,
    message: said(`这一行的引号 ${quote} 没有闭合`, `the quote ${quote} on this line is never closed`),
    hint: said('在文字末尾补上引号', 'close it at the end of the text'),
    misleads: true,
  }
}

/** A bracket whose inside ends before it is closed. */
function openBracketAt(doc: Document, error: YAMLError, lines: LineCounter): Slip | undefined {
  if (error.code !== 'BAD_INDENT' || !/end with a [\]}]$/.test(error.message)) return undefined
  let open: Node | undefined
  visit(doc, {
    Collection: (_key, node) => {
      const [start, end] = node.range ?? [0, 0]
      if (node.flow === true && start <= error.pos[0] && end >= error.pos[0] - 1) open = node
    },
  })
  if (open === undefined) return undefined
  const bracket = isMap(open) ? '{' : '['
  return {
    line: lines.linePos(startOf(open) ?? 0).line,
    message: said(`这一行的 ${bracket} 没有闭合`, `the ${bracket} on this line is never closed`),
    hint: said(`补上 ${bracket === '{' ? '}' : ']'}`, `close it with ${bracket === '{' ? '}' : ']'}`),
    misleads: true,
  }
}

function onePerLine(slips: readonly Slip[]): Slip[] {
  return [...new Map([...slips].reverse().map((slip) => [slip.line, slip])).values()].reverse()
}

/**
 * Values that YAML reads and nobody means: numbers that are not written as they are read (an id with leading zeros or more digits
 * than a number holds), and full-width commas and colons between the items of `[…]` and `{…}`.
 */
export function doubtsAbout(doc: Document, lines: LineCounter, file: string): Problem[] {
  const doubts: Problem[] = []
  visit(doc, {
    Scalar: (key, node, ancestors) => {
      if (node.type !== 'PLAIN' || node.source === undefined) return
      const doubt =
        typeof node.value === 'number'
          ? doubtfulNumber(node.source, node.value)
          : doubtfulText(node, ancestors.at(key === 'key' || key === 'value' ? -2 : -1))
      if (doubt === undefined) return
      const line = lines.linePos(startOf(node) ?? 0).line
      doubts.push({ file, line, path: pathOf(ancestors, node).join('.'), ...doubt })
    },
  })
  return doubts
}

function doubtfulNumber(source: string, value: number): Pick<Problem, 'message' | 'hint'> | undefined {
  // `1e5` and `+5` are bounds as people write them; an order number such as `12e5` and a phone are not.
  if (!/^[-+]?(0\d|0[xo])|^\+\d{6}|^-?\d{16,}$|^-?\d{2,}[eE]/.test(source)) return undefined
  return {
    message: said(
      `没有引号的 ${source} 会读成数字 ${value}`,
      `${source} without quotes is read as the number ${value}`,
    ),
    hint: said(`编号要加引号："${source}"`, `quote what is an id: "${source}"`),
  }
}

function doubtfulText(node: Scalar, around: unknown): Pick<Problem, 'message' | 'hint'> | undefined {
  if (!isCollection(around) || around.flow !== true) return undefined
  const mark = /^[A-Za-z_]\w*(：)/.exec(node.source!)?.[1] ?? (isSeq(around) ? /，/.exec(node.source!)?.[0] : undefined)
  if (mark === undefined) return undefined
  return {
    message: said(
      `全角的“${mark}”不分隔，整段会读成一个值`,
      `the full-width "${mark}" separates nothing: all of it is one value`,
    ),
    hint: said(
      '分隔用半角逗号或冒号加空格；本来就是文字的，加引号',
      'separate with a plain comma or colon and a space; quote it where it is text',
    ),
  }
}

/** From the document down to the node, as the names of fields and places in lists. */
function pathOf(ancestors: readonly unknown[], node: Node): (string | number)[] {
  const path: (string | number)[] = []
  for (const [i, parent] of ancestors.entries()) {
    const child = ancestors[i + 1] ?? node
    if (isPair(parent)) path.push(String(isScalar(parent.key) ? parent.key.value : parent.key))
    else if (isSeq(parent)) path.push(parent.items.indexOf(child))
  }
  return path
}

export function startOf(node: unknown): number | undefined {
  return isAlias(node) || isScalar(node) || isCollection(node) ? node.range?.[0] : undefined
}
