/** A number goes in bare, a text as CDATA, an object as nested elements; `undefined` leaves the element out. */
export type XmlFields = { [name: string]: string | number | XmlFields | undefined }

export function toXml(fields: XmlFields): string {
  return `<xml>${elements(fields)}</xml>`
}

function elements(fields: XmlFields): string {
  return Object.entries(fields)
    .map(([name, value]) => (value === undefined ? '' : `<${name}>${content(value)}</${name}>`))
    .join('')
}

function content(value: string | number | XmlFields): string {
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return `<![CDATA[${value.replaceAll(']]>', ']]]]><![CDATA[>')}]]>`
  return elements(value)
}
