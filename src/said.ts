/**
 * Words for people who run the service: a Chinese sentence, then an English one. Errors, zod and logs carry one text, so both travel in
 * it, as `中文 · English`; where it is shown to a person, `inLanguage` takes one of them.
 */
export function said(zh: string, en: string): string {
  return `${whole(zh)}${BETWEEN}${whole(en)}`
}

const BETWEEN = ' · '

let asTyped = (text: string): string => text

/** From here on commands that our own sentences name (`siyu check`) are written as they are typed where this process was started. */
export function typeCommands(change: (text: string) => string): void {
  asTyped = change
}

/** The same for a command that stands in no sentence. What others have written passes through none of this. */
export function asCommand(command: string): string {
  return asTyped(command)
}

/** The same to look at, and no border between languages. */
function whole(text: string): string {
  return text.replaceAll(BETWEEN, ' ·\u00a0')
}

/** Both sentences of a text; one that stands in no or both languages (a path, a command, what another program says) is either. */
export function sentencesOf(text: string): { zh: string; en: string } {
  const at = text.indexOf(BETWEEN)
  return at === -1 ? { zh: text, en: text } : { zh: text.slice(0, at), en: text.slice(at + BETWEEN.length) }
}

/** A text of several lines in one language. */
export function inLanguage(text: string, locale: 'zh' | 'en'): string {
  return asTyped(
    text
      .split('\n')
      .map((line) => sentencesOf(line)[locale])
      .join('\n'),
  )
}

/** Says one of two texts, by the language. */
export type Words = (zh: string, en: string) => string

export function bilingual(locale: 'zh' | 'en'): Words {
  return (zh, en) => asTyped(locale === 'en' ? en : zh)
}

/** What to do about a name that is not known: the one that was probably meant, else `zh` and `en`. */
export function meant(word: string, known: Iterable<string>, zh: string, en: string): string {
  const near = nearest(word, known)
  return near === undefined
    ? said(zh, en)
    : said(`是不是 "${near}"？否则${zh}`, `did you mean "${near}"? Otherwise ${en}`)
}

/** The candidate that was probably meant by `word`: at most two edits away and less than half the word. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: { candidate: string; edits: number } | undefined
  for (const candidate of candidates) {
    const edits = editsBetween(word.toLowerCase(), candidate.toLowerCase())
    if (edits <= 2 && edits * 2 < word.length && (best === undefined || edits < best.edits)) best = { candidate, edits }
  }
  return best?.candidate
}

/** Insertions, deletions, replacements and swaps of neighbours. */
function editsBetween(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let edits = Math.min(last[j]! + 1, row[j - 1]! + 1, replace)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        edits = Math.min(edits, beforeLast[j - 2]! + 1)
      row.push(edits)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
