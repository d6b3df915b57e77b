type XmlValue = string | number | XmlFields
/** A number goes in bare, a text as CDATA, an object as nested elements, an array as the element repeated; `undefined` leaves it out. */
export type XmlFields = { [name: string]: XmlValue | readonly XmlValue[] | undefined }

export function toXml(fields: XmlFields): string {
  return `<xml>${elements(fields)}</xml>`
}

function elements(fields: XmlFields): string {
  return Object.entries(fields)
    .flatMap(([name, value]) =>
      value === undefined ? [] : [value].flat().map((one: XmlValue) => `<${name}>${content(one)}</${name}>`),
    )
    .join('')
}

function content(value: XmlValue): string {
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return `<![CDATA[${value.replaceAll(']]>', ']]]]><![CDATA[>')}]]>`
  return elements(value)
}
