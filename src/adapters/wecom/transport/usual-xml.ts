/** An element whose content is bare text or one CDATA section. */
const LEAF = /<([A-Z]\w*)>(?:<!\[CDATA\[([^\]]*)\]\]>|([^<&]*))<\/\1>/y
const OPEN = /<([A-Z]\w*)>/y
const CLOSE = /<\/([A-Z]\w*)>/y
const HEAD = '<xml>'
const FOOT = '</xml>'

type Element = { name: string; fields: Record<string, unknown> }

/**
 * Reads XML the way WeCom writes it: `<xml>` around elements in capitals, without attributes, comments, entities or space
 * between them. Every leaf is text; what occurs several times is an array.
 *
 * A tenth of the cost of a whole parser, which has the rest: `undefined` says that it must look at it.
 */
export function readUsualXml(xml: string): Record<string, unknown> | undefined {
  if (!xml.startsWith(HEAD) || !xml.endsWith(FOOT)) return undefined
  const root: Element = { name: 'xml', fields: {} }
  const open: Element[] = [root]
  const end = xml.length - FOOT.length
  const next = (what: RegExp, at: number) => {
    what.lastIndex = at
    return what.exec(xml)
  }
  let at = HEAD.length
  while (at < end) {
    const { fields } = open.at(-1)!
    let found = next(LEAF, at)
    if (found !== null) {
      const text = found[2] ?? found[3]!
      if (text !== text.trim()) return undefined
      put(fields, found[1]!, text)
    } else if ((found = next(OPEN, at)) !== null) {
      open.push({ name: found[1]!, fields: {} })
    } else if ((found = next(CLOSE, at)) !== null) {
      const { name, fields: inner } = open.pop()!
      if (open.length === 0 || name !== found[1]) return undefined
      put(open.at(-1)!.fields, name, inner)
    } else return undefined
    at += found[0].length
  }
  return open.length === 1 ? root.fields : undefined
}

function put(fields: Record<string, unknown>, name: string, value: unknown): void {
  if (!Object.hasOwn(fields, name)) fields[name] = value
  else if (Array.isArray(fields[name])) fields[name].push(value)
  else fields[name] = [fields[name], value]
}
