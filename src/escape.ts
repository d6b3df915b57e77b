/**
 * Words from outside (a name, a remark, what a sender calls a trait) as the place shows them where they stand: each place reads
 * something else as more than words, so each has a function of its own.
 */

/** Characters that move a cursor, hide or turn around what stands beside them, or end a line where nobody sees it. */
// eslint-disable-next-line no-control-regex -- they are what is meant
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/** Each of them as `\\u001b`, which JSON reads as the same. Line breaks and tabs stay. */
export function forTerminal(text: string): string {
  return text.replace(UNSEEN, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** A line of a log, which is JSON: the same text to whoever parses it. */
export const forLog = forTerminal

/** One cell of a table on a terminal. */
export function forCell(text: string): string {
  return forTerminal(text.replace(/[\t\n]+/g, ' '))
}

/** One line without what is unseen. */
function oneLine(text: string): string {
  return text
    .replace(/[\t\n\r]+/g, ' ')
    .replace(UNSEEN, '')
    .trim()
}

/** Inside elements and quoted attributes of HTML. */
export function forHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}

/** A field of a template card: one line of plain words. */
export const forCard = oneLine

const APP_TEXT_CHARS = 64

/**
 * Words inside a text message of an app, which shows `<a href>` as a link and makes addresses ones to tap.
 * @see 文本消息, developer.work.weixin.qq.com/document/path/90236 (read 2026-08)
 */
export function forAppText(text: string): string {
  const plain = oneLine(text)
    .replace(/[<>]/g, (char) => (char === '<' ? '＜' : '＞'))
    .replace(/:(?=\/\/)/g, '：')
    .replace(/(?<=\w)\.(?=\w)/g, '．')
  const chars = [...plain]
  return chars.length > APP_TEXT_CHARS ? `${chars.slice(0, APP_TEXT_CHARS - 1).join('')}…` : plain
}
