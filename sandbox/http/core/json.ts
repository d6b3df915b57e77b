import { Refusal } from './endpoint.js'

const MALFORMED = 'Warning: wrong json format. invalid Request Parameter'

/**
 * The body is JSON whatever its Content-Type says, or without one; only a form with a file is not.
 *
 * @param lenient - read a malformed body as far as it goes, as the platform was seen to do
 * @throws {Refusal} 40058
 */
export function parseBody(
  raw: Buffer,
  contentType: string,
  lenient: boolean,
): { params: Record<string, unknown>; isMalformed: boolean } {
  if (raw.length === 0 || contentType.startsWith('multipart/')) return { params: {}, isMalformed: false }
  const text = raw.toString('utf8')
  const data = parsed(text)
  if (isRecord(data)) return { params: data, isMalformed: false }
  if (!lenient) throw new Refusal(40058, MALFORMED)
  return { params: parseStart(text), isMalformed: true }
}

/** The fields before the first mistake. */
function parseStart(text: string): Record<string, unknown> {
  const commas: number[] = []
  let depth = 0
  let inText = false
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (inText) {
      if (c === '\\') i++
      else if (c === '"') inText = false
    } else if (c === '"') inText = true
    else if (c === '{' || c === '[') depth++
    else if (c === '}' || c === ']') depth--
    else if (c === ',' && depth === 1) commas.push(i)
  }
  for (const end of [text.length, ...commas.reverse()]) {
    const data = parsed(`${text.slice(0, end)}}`)
    if (isRecord(data)) return data
  }
  return {}
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // no JSON: what then is for the caller to say
  }
}

function isRecord(data: unknown): data is Record<string, unknown> {
  return data !== null && typeof data === 'object' && !Array.isArray(data)
}
