/** First and last code point of the ranges that take two cells (Unicode East Asian Width W and F, and emoji). */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xa000, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1f9ff],
  [0x20000, 0x3fffd],
]
// eslint-disable-next-line no-control-regex -- colour codes start with the escape character
const COLOUR = /\u001b\[[0-9;]*m/g
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]$/u

/** Terminal cells a text takes: Chinese characters two, combining marks and colour codes none. */
export function displayWidth(text: string): number {
  let cells = 0
  for (const char of text.replace(COLOUR, '')) {
    if (ZERO_WIDTH.test(char)) continue
    const code = char.codePointAt(0) ?? 0
    cells += WIDE.some(([first, last]) => code >= first && code <= last) ? 2 : 1
  }
  return cells
}

export function padEnd(text: string, cells: number): string {
  return text + ' '.repeat(Math.max(0, cells - displayWidth(text)))
}

export function padStart(text: string, cells: number): string {
  return ' '.repeat(Math.max(0, cells - displayWidth(text))) + text
}

/** Shortens a text without colours to `cells` cells, ending in `…` when something was cut. */
export function truncate(text: string, cells: number): string {
  if (displayWidth(text) <= cells) return text
  let kept = ''
  for (const char of text) {
    if (displayWidth(kept + char) > cells - 1) break
    kept += char
  }
  return `${kept}…`
}

/** A piece that stays whole: blanks, a wide character with the closing marks after it, or a word. */
const PIECES = /\s+|[\u2e80-\uffef][，。；：、）】！？”]*|[^\s\u2e80-\uffef]+[，。；：、）】！？”]*/gu

/** A line without colours in lines of at most `cells` cells; a word that is longer stays whole, so that it can be copied. */
export function wrap(text: string, cells: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const [piece] of text.matchAll(PIECES)) {
    if (line !== '' && displayWidth(line + piece.trimEnd()) > cells) {
      lines.push(line.trimEnd())
      line = piece.trimStart()
    } else line += piece
  }
  return [...lines, line.trimEnd()]
}
