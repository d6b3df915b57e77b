const characters = new Intl.Segmenter('zh', { granularity: 'grapheme' })

/** Cuts to `max` code points, and never inside what people see as one character; an ellipsis says that something was cut. */
export function clipText(text: string, max: number): string {
  // Of a long one nobody counts to the end: a code point is two units at most.
  if (text.length <= 2 * max && [...text].length <= max) return text
  return cut(text, max - 1, (character) => [...character].length)
}

/** Cuts to `max` bytes of UTF-8, likewise. */
export function clipBytes(text: string, max: number): string {
  if (Buffer.byteLength(text) <= max) return text
  return cut(text, max - Buffer.byteLength('…'), (character) => Buffer.byteLength(character))
}

function cut(text: string, max: number, sizeOf: (character: string) => number): string {
  let clipped = ''
  let size = 0
  for (const { segment } of characters.segment(text)) {
    size += sizeOf(segment)
    if (size > max) break
    clipped += segment
  }
  return `${clipped}…`
}
